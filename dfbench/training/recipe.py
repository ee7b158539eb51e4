"""The training recipe: values of the call, else of the protocol, else of the detector's own published recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dfbench.errors import UsageError
from dfbench.models.spec import TrainingDefaults
from dfbench.protocols.training_recipe import Augmentation, TrainingRecipe


@dataclass(frozen=True)
class FullRecipe:
    """A training recipe without gaps. Fields are those of the protocol's recipe and of the detector's defaults.

    Attributes:
        batch_size: samples per batch, over all devices.
        accumulate: batches whose gradients make one optimiser step.
        lr_decay_steps: optimiser steps between two decays; None: ``lr_decay_epochs`` decides.
        samples_per_epoch: None: every training sample once (balanced: twice the rarer label's number at least).
        augmentation: random changes of the training crops.
    """

    epochs: int
    batch_size: int
    accumulate: int
    optimizer: str
    lr: float
    lr_decay: float
    lr_decay_epochs: int
    lr_decay_steps: int | None
    lr_min: float
    weight_decay: float
    betas: tuple[float, float]
    momentum: float
    bias_lr_factor: float
    bias_weight_decay: bool
    sampling: str
    samples_per_epoch: int | None
    class_weights: str
    augmentation: Augmentation
    seed: int

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate in an epoch, at an optimiser step of the whole training; both are counted from 0."""
        decays = epoch // self.lr_decay_epochs if self.lr_decay_steps is None else step // self.lr_decay_steps
        return float(max(self.lr_min, self.lr * self.lr_decay**decays))

    def record(self) -> dict[str, Any]:
        """Return the recipe for cards and hashes."""
        return asdict(self) | {"augmentation": self.augmentation.model_dump(mode="json")}


def fill_recipe(
    protocol: TrainingRecipe,
    detector: TrainingDefaults,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    accumulate: int = 1,
    samples_per_epoch: int | None = None,
) -> FullRecipe:
    """Complete a protocol's recipe from the detector's own; explicit values override both.

    A detector's decay in steps refers to its own batch size: with another one it happens after as many samples.

    Raises:
        UsageError: an explicit value is out of range.
    """
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "accumulate": accumulate,
        "samples_per_epoch": samples_per_epoch,
    }
    for name, value in given.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} must be above 0 and finite, not {value}", "omit it to use the recipe's value")
    batch = _first(batch_size, protocol.batch_size, detector.batch_size)
    own = protocol.lr_decay is None
    steps = protocol.lr_decay_steps
    if own and detector.lr_decay_steps is not None:
        steps = max(1, round(detector.lr_decay_steps * detector.batch_size / (batch * accumulate)))
    return FullRecipe(
        epochs=_first(epochs, protocol.epochs, detector.epochs),
        batch_size=batch,
        accumulate=accumulate,
        optimizer=_first(protocol.optimizer, detector.optimizer),
        lr=_first(lr, protocol.lr, detector.lr),
        lr_decay=_first(protocol.lr_decay, detector.lr_decay),
        lr_decay_epochs=detector.lr_decay_epochs if own else protocol.lr_decay_epochs or 1,
        lr_decay_steps=steps,
        lr_min=detector.lr_min if own else protocol.lr_min or 0.0,
        weight_decay=_first(protocol.weight_decay, detector.weight_decay),
        betas=detector.betas,
        momentum=detector.momentum,
        bias_lr_factor=detector.bias_lr_factor,
        bias_weight_decay=detector.bias_weight_decay,
        sampling=protocol.sampling,
        samples_per_epoch=samples_per_epoch or protocol.samples_per_epoch or detector.samples_per_epoch,
        class_weights=protocol.class_weights,
        augmentation=protocol.augmentation or _augmentation(detector),
        seed=protocol.seed if seed is None else seed,
    )


def overridden(recipe: FullRecipe, protocol: TrainingRecipe, detector: TrainingDefaults) -> dict[str, Any]:
    """Return the values of a recipe that differ from those of protocol and detector, apart from the seed."""
    own = asdict(fill_recipe(protocol, detector, seed=recipe.seed))
    return {name: value for name, value in asdict(recipe).items() if value != own[name]}


def _augmentation(detector: TrainingDefaults) -> Augmentation:
    names = ("flip", "rotation", "perspective", "zoom", "brightness", "hue")
    return Augmentation(**{name: getattr(detector, name) for name in names})


def _first(*values: Any) -> Any:
    return next(v for v in values if v is not None)
