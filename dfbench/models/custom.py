"""User-defined detectors: call the class or factory with the arguments it accepts and unify the output."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from dfbench.models.interface import (
    HasEpochHooks,
    HasLogits,
    before_augmentation,
    custom_code,
    evaluation_mode,
    logits_of,
    loss_of,
)
from dfbench.models.output_kind import (
    DECLARATION,
    declares_probabilities,
    final_activation,
    logits_of_probabilities,
    output_doubt,
)

logger = logging.getLogger("dfbench")


@dataclass(frozen=True)
class PlainOutput:
    """Logits, (N, C)."""

    logits: Tensor


class CustomDetector(nn.Module):
    """Wrap a module that returns logits (N, C) or (N,), or an object with ``.logits``; its own loss and hooks are kept.

    Args:
        network: the user's module. With an attribute ``outputs_probabilities`` that is true, it returns a tensor of
            probabilities, which are converted to logits.
        name: its name in messages.

    Attributes:
        activation: ``sigmoid`` or ``softmax`` if that is the last operation of outputs that are used as logits.

    Raises:
        ModelError: ``outputs_probabilities`` is not a bool.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.probabilities = declares_probabilities(network, name)
        self.activation = ""

    def forward(self, images: Tensor) -> HasLogits:
        """RGB in [0,1], N,3,H,W -> an object with ``.logits``."""
        count, _, height, width = images.shape
        with custom_code(
            f"{self.name} does not run on RGB images of {height} x {width} pixels",
            "it must take float images in [0,1] of shape (N, 3, H, W)",
        ):
            output = self.network(images)
        if not isinstance(output, Tensor):
            if self.probabilities:
                raise ModelError(
                    f"{self.name} declares that it returns probabilities, but returns {type(output).__name__}",
                    f"return a tensor (N, classes) of them, or an object with .logits and no {DECLARATION}",
                )
            logits_of(output, count, self.name)
            return cast(HasLogits, output)
        logits = output[:, None] if output.ndim == 1 else output
        wrapped = PlainOutput(logits)
        logits_of(wrapped, count, self.name)
        return PlainOutput(logits_of_probabilities(logits, self.name)) if self.probabilities else wrapped

    def loss(self, output: Any, targets: Tensor) -> Tensor:
        """Return the network's own loss, or cross-entropy.

        Raises:
            ModelError: it is not a scalar, or does not depend on a trained parameter.
        """
        with custom_code(f"the loss of {self.name} fails", "loss(output, targets) takes class numbers, int64 (N,)"):
            found = loss_of(self.network, output, targets)
        if not isinstance(found, Tensor) or found.ndim:
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(f"the loss of {self.name} is {what}, not a scalar", "return the mean over the samples")
        if torch.is_grad_enabled() and not found.requires_grad:
            raise ModelError(
                f"the loss of {self.name} does not depend on any parameter that is trained",
                "do not detach or round the logits; parameters need requires_grad",
            )
        return found

    def before_augmentation(self, images: Tensor) -> Tensor:
        """Call the network's hook."""
        with custom_code(f"before_augmentation of {self.name} fails", "it takes images (N, 3, H, W) in [0,1]"):
            return before_augmentation(self.network, images)

    def start_epoch(self, epoch: int) -> None:
        """Call the network's hook."""
        if isinstance(self.network, HasEpochHooks):
            with custom_code(f"start_epoch of {self.name} fails", "it takes the number of the epoch, from 0"):
                self.network.start_epoch(epoch)

    def end_epoch(self, epoch: int) -> None:
        """Call the network's hook."""
        if isinstance(self.network, HasEpochHooks):
            with custom_code(f"end_epoch of {self.name} fails", "it takes the number of the epoch, from 0"):
                self.network.end_epoch(epoch)


def build_custom(
    factory: object, name: str, num_classes: int, image_size: int, options: dict[str, Any]
) -> CustomDetector:
    """Call a user-defined class or factory with what it accepts of ``num_classes``, ``image_size`` and the options.

    Args:
        factory: the class or factory; or a finished module, which is wrapped.
        name: its name in messages.
        num_classes: classes of the task.
        image_size: height and width of the crops in pixels.
        options: further keyword arguments.

    Raises:
        ModelError: it is not callable, does not return a module, or the module's output does not fit.
        UsageError: an option that it does not accept.
    """
    if isinstance(factory, nn.Module):
        module: object = factory
        if options:
            raise UsageError(
                f"{name} is a finished module and takes no options: {', '.join(sorted(options))}",
                "pass its class to build it with options",
            )
    else:
        if not callable(factory):
            raise ModelError(
                f"{name} is {type(factory).__name__}, not an nn.Module class or a factory",
                "name a class, or a function that returns an nn.Module",
            )
        module = _call(factory, name, {"num_classes": num_classes, "image_size": image_size}, options)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{name} returned {type(module).__name__}, not an nn.Module", "return the network")
    detector = module if isinstance(module, CustomDetector) else CustomDetector(module, name)
    _check_output(detector, num_classes, image_size)
    return detector


def _call(factory: Callable[..., object], name: str, offered: dict[str, Any], options: dict[str, Any]) -> object:
    with custom_code(f"{name} cannot be built", "fix its constructor"):
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
    with custom_code(f"{name} cannot be built", "fix its constructor"):
        return factory(**arguments)


def _check_output(detector: CustomDetector, num_classes: int, image_size: int) -> None:
    """Run two empty images through the network, so that a wrong shape is found before any data are made."""
    device = next((p.device for p in detector.parameters()), torch.device("cpu"))
    with evaluation_mode(detector):
        images = torch.zeros(2, 3, image_size, image_size, device=device)
        with torch.no_grad():
            logits = detector(images).logits
        detector.activation = "" if detector.probabilities else _last_operation(detector, images)
    fitting = {1, 2} if num_classes <= 2 else {num_classes}
    if logits.shape[1] not in fitting:
        raise ModelError(
            f"{detector.name} returns {logits.shape[1]} logits per image, the task has {num_classes} classes",
            "let its constructor take num_classes",
        )
    doubt = "" if detector.probabilities else output_doubt(logits.float().cpu().numpy(), detector.activation)
    if doubt:
        logger.warning("%s: %s", detector.name, doubt)


def _last_operation(detector: CustomDetector, images: Tensor) -> str:
    try:
        with torch.enable_grad():
            return final_activation(detector(images.requires_grad_() * 1.0).logits)
    except ModelError:  # code that runs without gradients only
        return ""
