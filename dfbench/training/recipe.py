"""The recipe as it is run: what the call says, else the protocol, else the detector's own published recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dfbench.errors import UsageError
from dfbench.models.spec import TrainingDefaults
from dfbench.protocols.protocol import Augmentation, Recipe


@dataclass(frozen=True)
class FullRecipe:
    """A training recipe without gaps. Fields are those of the protocol's recipe and of the detector's defaults.

    Attributes:
        samples_per_epoch: None: every training sample once (balanced: twice the rarer label's number at least).
        rotation: degrees, either way.
        perspective: distortion scale; applied with probability ``perspective_p``.
        degradations: conditions @crop, one of which a crop is shown under with probability ``degradations_p``.
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    lr_decay: float
    weight_decay: float
    betas: tuple[float, float]
    momentum: float
    sampling: str
    samples_per_epoch: int | None
    flip: float
    rotation: float
    perspective: float
    perspective_p: float
    seed: int
    degradations: tuple[str, ...] = ()
    degradations_p: float = 0.0

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return float(self.lr * self.lr_decay**epoch)

    def record(self) -> dict[str, Any]:
        """For cards and hashes."""
        return asdict(self)


def fill_recipe(
    protocol: Recipe,
    detector: TrainingDefaults,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
) -> FullRecipe:
    """Fill the gaps of a protocol's recipe from the detector's own; explicit values win over both.

    Raises:
        UsageError: an explicit value is out of range.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("lr", lr)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} must be above 0, not {value}")
    augmentation = protocol.augmentation or Augmentation(
        flip=detector.flip, rotation=detector.rotation, perspective=detector.perspective
    )
    return FullRecipe(
        epochs=_first(epochs, protocol.epochs, detector.epochs),
        batch_size=_first(batch_size, protocol.batch_size, detector.batch_size),
        optimizer=_first(protocol.optimizer, detector.optimizer),
        lr=_first(lr, protocol.lr, detector.lr),
        lr_decay=_first(protocol.lr_decay, detector.lr_decay),
        weight_decay=_first(protocol.weight_decay, detector.weight_decay),
        betas=detector.betas,
        momentum=detector.momentum,
        sampling=protocol.sampling,
        samples_per_epoch=protocol.samples_per_epoch,
        flip=augmentation.flip,
        rotation=augmentation.rotation,
        perspective=augmentation.perspective,
        perspective_p=augmentation.perspective_p,
        degradations=augmentation.degradations,
        degradations_p=augmentation.degradations_p if augmentation.degradations else 0.0,
        seed=protocol.seed if seed is None else seed,
    )


def _first(*values: Any) -> Any:
    return next(v for v in values if v is not None)
