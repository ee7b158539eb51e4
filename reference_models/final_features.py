"""The final feature map of a detector, for training methods that do not know the size of its images."""

from __future__ import annotations

import torch
from torch import nn

from dfbench.errors import ModelError
from dfbench.explain import FinalFeatures, evaluation_mode
from dfbench.models.interface import custom_code

SIZES = (224, 256, 128, 299, 380, 64, 96, 112, 160, 192, 320, 384, 448, 512)
"""Sides of the images that a detector is tried with, in pixels."""


def find_final_features(detector: nn.Module) -> tuple[FinalFeatures, int]:
    """Find the final feature map of a detector; the random state and all modes are left as they were.

    Returns:
        Where it is, and the side in pixels of images that the detector takes.

    Raises:
        ModelError: the detector has none, or it takes images of none of :data:`SIZES`.
    """
    size = _accepted_size(detector)
    return FinalFeatures.find(detector, size), size


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
