"""Training methods: how a batch becomes a loss. The contract, and the registry of the names.

``supervised`` feeds the batch to the detector and takes its loss. A method of another package changes the batch
(mixing, blending), adds terms to the loss, or makes several forward and backward passes. A function is enough for a
method without a state; the others follow :class:`TrainingStep`. Importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dfbench.errors import ModelError
from dfbench.models.interface import custom_code
from dfbench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["TRAINING_METHODS", "Batch", "Step", "StepResult", "TrainingMethod", "TrainingStep"]


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


@runtime_checkable
class TrainingStep(Protocol):
    """The steps of one training, as an object with a state of its own.

    An ``nn.Module`` with the methods ``forward``, ``start_epoch`` and ``after_backward`` is such an object: it is moved
    to the device of the detector, its parameters are trained with those of the detector, and its persistent buffers
    are its state. The detector must not be one of its attributes, since it would be stored twice.
    """

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Prepare an epoch, counted from 0: freeze parameters, change phase.

        In a resumed epoch it is called again; then the weights of the detector and the stored state are restored.
        """
        ...

    def __call__(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Return the loss of a batch, whose gradient is taken; see :data:`Step` for random numbers.

        Further passes before it take their gradients by ``torch.autograd.grad``, which leaves those of the parameters
        alone: they are summed over the batches of an optimiser step.
        """
        ...

    def after_backward(self, detector: nn.Module) -> None:
        """Act after the gradient of a batch has been taken and before the optimiser's step: restore weights, say.

        In float16 the gradients are scaled here.
        """
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Return tensors, numbers and strings, which are stored with the training."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Restore what :meth:`state_dict` returned."""
        ...


class FunctionStep:
    """A function without a state as :class:`TrainingStep`.

    Args:
        function: see :data:`Step`.
    """

    def __init__(self, function: Step) -> None:
        self.function = function

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Do nothing."""

    def __call__(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Call the function."""
        return self.function(detector, batch)

    def after_backward(self, detector: nn.Module) -> None:
        """Do nothing."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Do nothing."""


@dataclass(frozen=True, eq=False)
class TrainingMethod:
    """A registered training method: a function, or what makes the object of its steps.

    Attributes:
        name: the registered name.
        summary: what it does, in one line.
        step: see :data:`Step`; None: ``make`` is given.
        version: changes whenever the same batch could give another loss; it is part of the card and decides whether an
            interrupted training may be resumed.
        make: receives the detector with its initial weights at the start of each training, also of a resumed one, and
            returns the object of its steps.
    """

    name: str
    summary: str
    step: Step | None = None
    version: str = "1"
    make: Callable[[nn.Module], TrainingStep] | None = None

    def new_step(self, detector: nn.Module) -> TrainingStep:
        """Return the steps of a training.

        Raises:
            ModelError: they cannot be made.
        """
        if self.step is not None:
            return FunctionStep(self.step)
        with custom_code(f"the steps of the training method {self.name!r} cannot be made", "see docs/plugins.md"):
            step = self.make(detector) if self.make is not None else None
        if not isinstance(step, TrainingStep):
            raise ModelError(
                f"the training method {self.name!r} makes {type(step).__name__}, which is no TrainingStep",
                "it needs start_epoch, __call__, after_backward, state_dict and load_state_dict",
            )
        return step

    def record(self) -> dict[str, str]:
        """What a card's recipe says of the method; nothing for the default, so that earlier cards keep their keys."""
        return {} if self.name == DEFAULT else {"method": self.name, "method_version": self.version}


DEFAULT = "supervised"


def _checked(name: str, value: object) -> TrainingMethod:
    if not isinstance(value, TrainingMethod) or value.name != name:
        raise TypeError(f"it is not a dfbench.training.TrainingMethod of the name {name!r}")
    if (value.step is None) == (value.make is None):
        raise ValueError("a training method has either step or make")
    return value


TRAINING_METHODS: Registry[TrainingMethod] = Registry(
    "training method",
    "dfbench.training_methods",
    {DEFAULT: "dfbench.training.optimization:SUPERVISED"},
    check=_checked,
    summaries={DEFAULT: "the detector's own loss, or cross-entropy, on the augmented batch"},
    listing="dfbench list training-methods",
)
