"""Training methods: how a batch becomes a loss. The contract, and the registry of the names.

``supervised`` feeds the batch to the detector and takes its loss. A method of another package changes the batch
(mixing, blending), adds terms to the loss, or runs the detector twice. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dfbench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["TRAINING_METHODS", "Batch", "Step", "StepResult", "TrainingMethod"]


@dataclass(frozen=True, eq=False)
class Batch:
    """A training batch after augmentation, on the device of the detector.

    Attributes:
        images: float32 (N, 3, S, S), RGB in [0,1]; more planes where the detector's ``before_augmentation`` adds some.
        targets: int64 (N,), class numbers.
        sample_ids: N ids.
        class_weights: float32 (C,), weights of the classes in the loss; None: all alike.
    """

    images: Tensor
    targets: Tensor
    sample_ids: tuple[str, ...]
    class_weights: Tensor | None = None


@dataclass(frozen=True, eq=False)
class StepResult:
    """What a method made of a batch.

    Attributes:
        loss: scalar, a mean over the samples of the batch; its gradient is taken.
        output: what the detector returned for the batch, with ``.logits`` (N, C): it tells which samples are not
            finite when the loss is not.
        class_weighted: whether the mean is one with the class weights of the batch. Several devices share a batch: the
            loss of each one counts by the number of its samples, or by the sum of their weights.
    """

    loss: Tensor
    output: Any
    class_weighted: bool = False


Step = Callable[["nn.Module", Batch], StepResult]
"""Runs the detector on a batch. Random numbers come from torch's global generator, which is seeded before every batch
by epoch and batch, so that a resumed training draws the same ones."""


@dataclass(frozen=True, eq=False)
class TrainingMethod:
    """A registered training method.

    Attributes:
        name: the registered name.
        summary: what it does, in one line.
        step: see :data:`Step`.
        version: changes whenever the same batch could give another loss; it is part of the card and decides whether an
            interrupted training may be resumed.
    """

    name: str
    summary: str
    step: Step
    version: str = "1"

    def record(self) -> dict[str, str]:
        """What a card's recipe says of the method; nothing for the default, so that earlier cards keep their keys."""
        return {} if self.name == DEFAULT else {"method": self.name, "method_version": self.version}


DEFAULT = "supervised"


def _checked(name: str, value: object) -> TrainingMethod:
    if not isinstance(value, TrainingMethod) or value.name != name:
        raise TypeError(f"it is not a dfbench.training.TrainingMethod of the name {name!r}")
    return value


TRAINING_METHODS: Registry[TrainingMethod] = Registry(
    "training method",
    "dfbench.training_methods",
    {DEFAULT: "dfbench.training.optimization:SUPERVISED"},
    check=_checked,
    summaries={DEFAULT: "the detector's own loss, or cross-entropy, on the augmented batch"},
    listing="dfbench list training-methods",
)
