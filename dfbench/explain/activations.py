"""Class activation maps, for detectors that end with a feature map, its mean over the positions, and a head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.explain.gradients import gradients, group_scores, half_scale
from dfbench.models.interface import custom_code, evaluation_mode, logits_of

SIZES = (224, 256, 128, 299, 380, 64, 96, 112, 160, 192, 320, 384, 448, 512)
"""Sides of the images that a detector is tried with, in pixels."""

_PROBES = 2
_EQUAL = 1e-4  # largest difference of gradients that are equal, relative to the largest gradient


@dataclass(frozen=True)
class FinalFeatures:
    """The module of a detector that returns its final feature map, whose mean over the positions all logits come from.

    Attributes:
        module: its name in the detector.
    """

    module: str

    @classmethod
    def find(cls, network: nn.Module, size: int) -> FinalFeatures:
        """Find the module by passes over random images; the random state and all modes are left as they were.

        Args:
            network: a detector.
            size: height and width of its images in pixels.

        Raises:
            ModelError: there is none, since the positions of the last map do not count alike (a dense layer, attention
                or a class token follows), or the logits depend on something else too.
        """
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(_PROBES, 3, size, size, generator=generator).to(device)
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
            stack.enter_context(torch.autocast(device.type, enabled=False))
            stack.enter_context(evaluation_mode(network))
            stack.enter_context(torch.enable_grad())
            name = _last_map(network, images)
            if name is None or not _is_averaged(network, images, name):
                raise ModelError(
                    "the detector has no final feature map: class activation maps need one whose mean over the "
                    f"positions all logits come from (crops of {size} px)",
                    "use forgery attention maps, which need gradients alone; or such a detector, as xception, resnet18 "
                    "and efficientnet-b4",
                )
        return cls(name)

    def maps(self, network: nn.Module, images: Tensor, real_classes: Sequence[int] = (0,)) -> tuple[Tensor, Tensor]:
        """Return the class activation maps of the fake and of the real classes.

        Every position has the sum over the channels of the feature times the gradient of the class's score, times the
        number of positions: for a linear head, the class's weights applied at that position. Several classes of a group
        count by their softmax within it.

        Args:
            network: the detector, which is in evaluation mode for the call.
            images: (N, 3, H, W).
            real_classes: numbers of the classes of real faces.

        Returns:
            Two tensors (N, h, w), float32, detached.

        Raises:
            ModelError: the score has no gradient, or the logits are not (N, C).
        """
        with evaluation_mode(network), torch.enable_grad():
            inputs = images.detach().requires_grad_(True)  # so that the map has a gradient with frozen parameters too
            features, output = _features(network, inputs.clone(), self.module)
            scores = group_scores(logits_of(output, len(images)), real_classes)
            scale = half_scale(images.device)
            slopes = [gradients(score, [features], scale=scale, keep=True)[0] for score in scores]
        positions = features[0, 0].numel()
        fake, real = ((features.detach().float() * slope.float()).sum(1) * positions for slope in slopes)
        return fake, real


def find_final_features(detector: nn.Module) -> tuple[FinalFeatures, int]:
    """Find the final feature map of a detector; the random state and all modes are left as they were.

    Returns:
        Where it is, and the side in pixels of images that the detector takes.

    Raises:
        ModelError: the detector has none, or it takes images of none of :data:`SIZES`.
    """
    size = _accepted_size(detector)
    return FinalFeatures.find(detector, size), size


@contextmanager
def captured_outputs(network: nn.Module, name: str) -> Iterator[list[Any]]:
    """Collect what a module returns in every call within the block, with its gradient.

    Args:
        network: a detector.
        name: of the module in it.

    Yields:
        The outputs so far, the last one at the end.
    """
    found: list[Any] = []
    hook: Callable[..., None] = lambda module, given, output: found.append(output)  # noqa: E731
    handle = network.get_submodule(name).register_forward_hook(hook)
    try:
        yield found
    finally:
        handle.remove()


def _accepted_size(detector: nn.Module) -> int:
    device = next((p.device for p in detector.parameters()), torch.device("cpu"))
    hint = "see docs/your-own-detector.md"
    random_devices = [device] if device.type == "cuda" else []
    refused: ModelError | None = None
    for size in SIZES:
        images = torch.zeros(1, 3, size, size, device=device)
        try:
            with (
                custom_code("the detector cannot score images", hint),
                torch.random.fork_rng(devices=random_devices),
                evaluation_mode(detector),
                torch.no_grad(),
            ):
                detector(images)
        except ModelError as error:
            refused = refused or error
        else:
            return size
    raise ModelError(
        f"no final feature map was found, as the detector takes no images of {', '.join(map(str, SIZES))} pixels: "
        f"{refused.message if refused else ''}",
        hint,
    ) from refused


def _features(network: nn.Module, images: Tensor, name: str) -> tuple[Tensor, Any]:
    """Return what a module returned in its last call, and the output of the network."""
    with captured_outputs(network, name) as found:
        output = network(images)
    return found[-1], output


def _last_map(network: nn.Module, images: Tensor) -> str | None:
    """Return the name of the module that is the last one to return a map of more than one position."""
    last: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        def note(module: nn.Module, given: object, output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4 or not output.is_floating_point():
                return
            if min(output.shape[2:]) > 1:
                last[:] = [name]

        return note

    with ExitStack() as stack, custom_code("the detector cannot score images", "see docs/your-own-detector.md"):
        for name, module in network.named_modules():
            if name:
                handle = module.register_forward_hook(hook(name))
                stack.callback(handle.remove)
        network(images)
    return last[0] if last else None


def _is_averaged(network: nn.Module, images: Tensor, name: str) -> bool:
    """Whether the logits depend on the image through the mean over the positions of the module's output alone."""
    inputs = images.detach().requires_grad_(True)
    features, output = _features(network, inputs.clone(), name)
    score = _mixed(logits_of(output, len(images)))
    if not features.requires_grad:
        return False
    slope = torch.autograd.grad(score, features, allow_unused=True)[0]
    if slope is None or not slope.any():
        return False
    spread = (slope - slope.mean((2, 3), keepdim=True)).abs().max()
    return bool(spread <= _EQUAL * slope.abs().max()) and not _goes_around(network, images, name)


def _goes_around(network: nn.Module, images: Tensor, name: str) -> bool:
    """Whether the logits depend on the image also without the module's output."""
    inputs = images.detach().requires_grad_(True)
    handle = network.get_submodule(name).register_forward_hook(lambda module, given, output: output.detach())
    try:
        score = _mixed(logits_of(network(inputs.clone()), len(images)))
    finally:
        handle.remove()
    return score.requires_grad and torch.autograd.grad(score, inputs, allow_unused=True)[0] is not None


def _mixed(logits: Tensor) -> Tensor:
    """Return a sum in which every logit counts, each with another weight."""
    return (logits.double() * torch.arange(1, logits.shape[1] + 1, device=logits.device)).sum()
