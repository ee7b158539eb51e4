"""A user's own detector: called with what its signature takes, its output brought to the common form."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from dfbench.models.interface import HasEpochHooks, HasLogits, before_augmentation, logits_of, loss_of
from dfbench.models.registry import users_code


@dataclass(frozen=True)
class PlainOutput:
    """Logits, (N, C)."""

    logits: Tensor


class UserDetector(nn.Module):
    """A module that returns a tensor of logits (N, C) or (N,), or an object with ``.logits``; its loss is kept.

    Args:
        network: the user's module.
        name: how it is called in messages.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def forward(self, images: Tensor) -> HasLogits:
        """RGB in [0,1], N,3,H,W -> an object with ``.logits``."""
        count, _, height, width = images.shape
        with users_code(
            f"{self.name} does not run on RGB images of {height} x {width} pixels",
            "it must take float images in [0,1] of shape (N, 3, H, W)",
        ):
            output = self.network(images)
        if not isinstance(output, Tensor):
            logits_of(output, count, self.name)
            return cast(HasLogits, output)
        logits = output[:, None] if output.ndim == 1 else output
        wrapped = PlainOutput(logits)
        logits_of(wrapped, count, self.name)
        return wrapped

    def loss(self, output: Any, targets: Tensor) -> Tensor:
        """The network's own loss, else cross-entropy.

        Raises:
            ModelError: it is no scalar, or nothing can be learnt from it.
        """
        with users_code(f"the loss of {self.name} fails", "loss(output, targets) takes class numbers, int64 (N,)"):
            found = loss_of(self.network, output, targets)
        if not isinstance(found, Tensor) or found.ndim:
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"the loss of {self.name} is {what}, not a scalar", "return the mean over the samples")
        if torch.is_grad_enabled() and not found.requires_grad:
            raise ModelError(
                f"the loss of {self.name} does not depend on any parameter that is trained",
                "do not detach the logits, nor round them; parameters need requires_grad",
            )
        return found

    def before_augmentation(self, images: Tensor) -> Tensor:
        """Passed on."""
        with users_code(f"before_augmentation of {self.name} fails", "it takes images (N, 3, H, W) in [0,1]"):
            return before_augmentation(self.network, images)

    def start_epoch(self, epoch: int) -> None:
        """Passed on."""
        if isinstance(self.network, HasEpochHooks):
            with users_code(f"start_epoch of {self.name} fails", "it takes the number of the epoch, from 0"):
                self.network.start_epoch(epoch)

    def end_epoch(self, epoch: int) -> None:
        """Passed on."""
        if isinstance(self.network, HasEpochHooks):
            with users_code(f"end_epoch of {self.name} fails", "it takes the number of the epoch, from 0"):
                self.network.end_epoch(epoch)


def call_users(factory: object, name: str, num_classes: int, image_size: int, options: dict[str, Any]) -> UserDetector:
    """Call a user's class or factory with what it takes of ``num_classes``, ``image_size`` and the options.

    Raises:
        ModelError: it is not callable, does not return a module, or the module's output does not fit.
        UsageError: an option that it does not take.
    """
    if isinstance(factory, nn.Module):
        module: object = factory
        if options:
            raise UsageError(f"{name} is a finished module and takes no options: {', '.join(sorted(options))}")
    else:
        if not callable(factory):
            raise ModelError(f"{name} is {type(factory).__name__}, not an nn.Module class or a factory")
        module = _call(factory, name, {"num_classes": num_classes, "image_size": image_size}, options)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{name} returned {type(module).__name__}, not an nn.Module")
    detector = UserDetector(module, name)
    _probe(detector, num_classes, image_size)
    return detector


def _call(factory: Callable[..., object], name: str, offered: dict[str, Any], options: dict[str, Any]) -> object:
    parameters = inspect.signature(factory).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    unknown = [o for o in options if o not in parameters and not takes_all]
    if unknown:
        raise UsageError(f"{name} takes no option {unknown[0]!r}", f"it takes: {', '.join(parameters) or 'none'}")
    arguments = {k: v for k, v in offered.items() if k in parameters} | options
    missing = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in arguments
    ]
    if missing:
        raise UsageError(f"{name} needs {', '.join(missing)}", "give them a default, or pass them as options")
    with users_code(f"{name} can not be built", "mend its constructor"):
        return factory(**arguments)


def _probe(detector: UserDetector, num_classes: int, image_size: int) -> None:
    """Run two empty images through, so that a wrong shape shows before any data are made."""
    was_training = detector.training
    detector.eval()
    try:
        with torch.no_grad():
            logits = detector(torch.zeros(2, 3, image_size, image_size)).logits
    finally:
        detector.train(was_training)
    fitting = {1, 2} if num_classes <= 2 else {num_classes}
    if logits.shape[1] not in fitting:
        raise ModelError(
            f"{detector.name} returns {logits.shape[1]} logits an image, the task has {num_classes} classes",
            "let its constructor take num_classes",
        )
