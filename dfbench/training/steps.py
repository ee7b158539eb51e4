"""The steps of a training method: what they get, what they return, and the contract of steps with a state.

A function is enough for a method without a state; the others follow :class:`TrainingStep`. Importing this module does
not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Batch:
    """A training batch after augmentation, on the device of the detector.

    Attributes:
        images: float32 (N, 3, S, S), RGB in [0,1]; more planes where the detector's ``before_augmentation`` adds some.
        targets: int64 (N,), class numbers.
        sample_ids: N ids.
        class_weights: float32 (C,), weights of the classes in the loss; None: all alike.
        real_classes: numbers of the classes of real faces.
        columns: the columns of the manifest that :attr:`TrainingMethod.columns` names, N values each; None where the
            manifest has no value.
        others: what :attr:`TrainingMethod.images` supplies beside the images: further images as float32 (N, 3, S, S),
            RGB in [0,1], with the geometric and colour changes of :attr:`images`, or values as float32 (N,).
    """

    images: Tensor
    targets: Tensor
    sample_ids: tuple[str, ...]
    class_weights: Tensor | None = None
    real_classes: tuple[int, ...] = (0,)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    others: Mapping[str, Tensor] = field(default_factory=dict)


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


Step = Callable[..., StepResult]
"""Runs the detector on a batch: ``step(detector, batch, **options)``. Random numbers come from torch's global
generator, which is seeded before every batch by epoch and batch, so that a resumed training draws the same ones."""


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


@runtime_checkable
class HasRecord(Protocol):
    """Steps that tell what they worked with, such as the hash of a model that was used and not trained."""

    def record(self) -> Mapping[str, Any]:
        """Return JSON values, which the card's recipe lists as ``method_record``."""
        ...


@runtime_checkable
class KeepsWeights(Protocol):
    """Steps whose own weights are stored beside those of the detector, as ``NAME.method.safetensors``."""

    def kept_weights(self) -> Mapping[str, Tensor]:
        """Return the weights as they are now, by name; nothing where none are to be kept.

        It is called after every epoch that is the best so far. Whether there are any must not change in a training.
        """
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
