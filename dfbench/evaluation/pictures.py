"""Crops at hand, from no manifest, through a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from dfbench.evaluation.inference import score_images
from dfbench.media.images import decode_image
from dfbench.models.interface import fake_probability


class Pictures(Dataset[tuple[Tensor, int]]):
    """Image files in memory; an item is (uint8 3,S,S RGB, its place from 0).

    Args:
        files: the bytes of each.
    """

    def __init__(self, files: Sequence[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Image and place."""
        picture = decode_image(self.files[place])
        return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))), place


def put_on(model: nn.Module, device: torch.device) -> nn.Module:
    """A detector on a device, its weights laid out as its input is."""
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def score_pictures(
    model: nn.Module,
    files: Sequence[bytes],
    device: torch.device,
    real_classes: Sequence[int] = (0,),
    *,
    batch_size: int = 64,
    precision: str = "fp32",
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """P(fake), (N,) float64, and logits, (N, C) float32, of crops that are image files of one size.

    Args:
        model: the detector, on the device.
        files: the bytes of each crop.
        device: where the detector is.
        real_classes: numbers of the classes that stand for real faces.
        batch_size: crops a step.
        precision: ``fp32`` or ``bf16``.

    Raises:
        ModelError: see :func:`dfbench.evaluation.inference.score_images`.
    """
    logits = score_images(model, Pictures(files), device, batch_size=batch_size, precision=precision)
    return fake_probability(torch.from_numpy(logits), real_classes).numpy(), logits
