"""Run images through a detector, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dfbench.errors import ModelError
from dfbench.media.images import decode_image
from dfbench.models.device import autocast
from dfbench.models.interface import fake_probability, logits_of
from dfbench.progress import Advance


class NotFiniteError(ModelError):
    """The detector gives logits that are not finite: its training has diverged, or its weights are damaged."""


class CropFiles(Dataset[tuple[Tensor, int]]):
    """Image files in memory; an item is (uint8 3,S,S RGB, its index).

    Args:
        files: the bytes of each.
    """

    def __init__(self, files: Sequence[bytes]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        image = decode_image(self.files[index])
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), index


def move_to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a detector to a device, in the memory layout of its input."""
    moved: nn.Module = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def to_input(images: Tensor, device: torch.device) -> Tensor:
    """Convert uint8 N,3,H,W to float32 in [0,1] on a device, channels last (faster on CPU and GPU alike)."""
    moved = images.to(device, non_blocking=True)
    return (moved.float() / 255.0).contiguous(memory_format=torch.channels_last)


def score_images(
    model: nn.Module,
    images: Dataset[tuple[Tensor, int]],
    device: torch.device,
    *,
    batch_size: int = 64,
    workers: int = 0,
    precision: str = "fp32",
    advance: Advance | None = None,
) -> NDArray[np.float32]:
    """Compute the logits of every image; the model's mode is left as it was.

    Args:
        model: the detector, on the device.
        images: items are (uint8 3,S,S RGB, index).
        device: where the detector is.
        batch_size: images per step.
        workers: processes that read images.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        advance: moves the progress bar.

    Returns:
        (N, C) float32, in the order of the dataset.

    Raises:
        ModelError: the logits are not (N, C).
        NotFiniteError: they are not finite; the message gives the index of the first such image.
    """
    loader: DataLoader[Any] = DataLoader(images, batch_size=batch_size, shuffle=False, num_workers=workers)
    was_training = model.training
    model.eval()
    found: list[NDArray[np.float32]] = []
    try:
        with torch.inference_mode():
            for batch, indices in loader:
                with autocast(device, precision):
                    output = model(to_input(batch, device))
                logits = logits_of(output, len(batch)).float().cpu()
                finite = torch.isfinite(logits).all(dim=1)
                if not bool(finite.all()):
                    index = int(indices[int((~finite).nonzero()[0])])
                    raise NotFiniteError(
                        f"the detector gives logits that are not finite, first at image {index}", "train again"
                    )
                found.append(logits.numpy())
                if advance is not None:
                    advance(len(batch))
    finally:
        model.train(was_training)
    if len({part.shape[1] for part in found}) > 1:
        raise ModelError("the detector changes its number of logits from batch to batch", "return (N, classes)")
    return np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def score_encoded(
    model: nn.Module,
    files: Sequence[bytes],
    device: torch.device,
    real_classes: Sequence[int] = (0,),
    *,
    batch_size: int = 64,
    precision: str = "fp32",
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Score crops that are image files of one size, as :func:`score_images` does.

    Args:
        model: the detector, on the device.
        files: the bytes of each crop.
        device: where the detector is.
        real_classes: numbers of the classes of real faces.
        batch_size: crops per step.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Returns:
        P(fake), (N,) float64, and logits, (N, C) float32.

    Raises:
        ModelError: see :func:`score_images`.
    """
    logits = score_images(model, CropFiles(files), device, batch_size=batch_size, precision=precision)
    return fake_probability(torch.from_numpy(logits), real_classes).numpy(), logits
