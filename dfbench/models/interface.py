"""The detector interface: a torch module from RGB to an object with ``.logits``, and its optional methods.

A detector is an ``nn.Module`` whose ``forward`` takes RGB images in [0,1], float, N,3,H,W, and returns an object with
``.logits`` (N, C); other tensor attributes are extra outputs. If it is a dataclass, its fields ``NAME_logits`` (N, C)
are further heads, whose validation metric is recorded during training. Normalisation, residuals and colour order are
computed inside the detector. A user's detector that returns probabilities says so by an attribute
``outputs_probabilities = True``. Optional methods:

* ``loss(output, targets) -> Tensor``: its training loss, a scalar; ``targets`` is int64 (N,). Default: cross-entropy,
  binary cross-entropy for one logit.
* ``start_epoch(epoch)`` and ``end_epoch(epoch)``: called before and after every training epoch, counted from 0. What
  they change must be stored in parameters or persistent buffers, so that training can be resumed after any epoch.
* ``before_augmentation(images) -> Tensor``: called on a training batch before it is augmented, N,3,H,W in [0,1] ->
  N,K,H,W; what it returns is augmented as a whole and given to ``forward``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dfbench.errors import DfbenchError, ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD = "_logits"
"""Ends the name of an output field with the logits of a further head, such as ``rgb_logits``."""


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and every module of it back into its own mode at the end.

    Running statistics of batch norm are used and not changed, so that the images of a batch are independent.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def custom_code(what: str, hint: str) -> Iterator[None]:
    """Re-raise any exception of user-defined code as :class:`ModelError` that repeats its message.

    Args:
        what: what failed, the beginning of the message.
        hint: what to do about it.
    """
    try:
        yield
    except DfbenchError:
        raise
    except (Exception, SystemExit) as error:  # user-defined code can raise anything, and exit
        raise ModelError(f"{what}: {type(error).__name__}: {error}", hint) from error


@runtime_checkable
class HasLogits(Protocol):
    """What a detector returns."""

    @property
    def logits(self) -> Tensor:
        """N,C raw outputs."""
        ...


@runtime_checkable
class OwnsLoss(Protocol):
    """A detector with a loss of its own."""

    def loss(self, output: Any, targets: Tensor) -> Tensor:
        """The scalar to minimise."""
        ...


@runtime_checkable
class HasEpochHooks(Protocol):
    """A detector with methods that are called around every training epoch."""

    def start_epoch(self, epoch: int) -> None:
        """Before the first step of an epoch."""
        ...

    def end_epoch(self, epoch: int) -> None:
        """After the last step of an epoch."""
        ...


@runtime_checkable
class PreparesImages(Protocol):
    """A detector that adds planes to a training batch before it is augmented."""

    def before_augmentation(self, images: Tensor) -> Tensor:
        """N,3,H,W in [0,1] -> N,K,H,W."""
        ...


def before_augmentation(model: nn.Module, images: Tensor) -> Tensor:
    """Return what is augmented of a training batch: the images, unless the detector adds planes."""
    return model.before_augmentation(images) if isinstance(model, PreparesImages) else images


def logits_of(output: object, samples: int, name: str = "the detector") -> Tensor:
    """Return the logits of a detector's output, (N, C).

    Raises:
        ModelError: the output has no logits, or they are not (N, C).
    """
    if not isinstance(output, HasLogits):
        raise ModelError(
            f"{name} returned {type(output).__name__}, which has no .logits",
            "return a tensor of shape (N, classes), or an object with .logits of that shape",
        )
    logits = output.logits
    if logits.ndim != 2 or logits.shape[0] != samples or logits.shape[1] < 1:
        raise ModelError(
            f"{name} returned logits of shape {tuple(logits.shape)} for {samples} images",
            f"the shape must be ({samples}, classes)",
        )
    return logits


def head_logits(output: object, logits: Tensor) -> dict[str, Tensor]:
    """Return the logits of a detector's further heads by name, without those of the main one.

    They are the fields ``NAME_logits`` of an output that is a dataclass, where they have the shape of the main logits;
    None and tensors of another shape are no heads.

    Args:
        output: what the detector returned.
        logits: its main logits, (N, C).
    """
    if not is_dataclass(output):
        return {}
    values = {f.name.removesuffix(HEAD): getattr(output, f.name) for f in fields(output) if f.name.endswith(HEAD)}
    return {name: value for name, value in values.items() if getattr(value, "shape", None) == logits.shape}


def fake_probability(logits: Tensor, real_classes: Sequence[int] = (0,)) -> Tensor:
    """P(fake) from logits, in float64; (N, C) -> (N,).

    One logit: its sigmoid. Two and more: 1 - the sum of the softmax over the real classes; for two classes with real
    at 0 that is softmax[1], and it is computed so.

    >>> import torch
    >>> fake_probability(torch.tensor([[0.0], [3.0]])).round(decimals=3).tolist()
    [0.5, 0.953]
    >>> fake_probability(torch.tensor([[1.0, 1.0, 1.0, 1.0]]), real_classes=(0, 2)).tolist()
    [0.5]
    """
    import torch

    values = logits.double()
    if values.shape[1] == 1:
        return torch.sigmoid(values[:, 0])
    fakes = [c for c in range(values.shape[1]) if c not in set(real_classes)]
    return torch.softmax(values, dim=1)[:, fakes].sum(dim=1).clamp(0.0, 1.0)


def loss_of(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """Return the detector's own loss if it has one, else cross-entropy (binary for one logit)."""
    from torch.nn import functional as F

    if isinstance(model, OwnsLoss):
        return model.loss(output, targets)
    logits = logits_of(output, len(targets)).float()
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], targets.float())
    return F.cross_entropy(logits, targets)
