"""Images through a detector, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dfbench.errors import ModelError
from dfbench.models.device import autocast
from dfbench.models.interface import logits_of
from dfbench.progress import Advance


def to_input(images: Tensor, device: torch.device) -> Tensor:
    """uint8 N,3,H,W -> float32 in [0,1] on a device, channels last (faster on CPU and GPU alike)."""
    moved = images.to(device, non_blocking=True)
    return (moved.float() / 255.0).contiguous(memory_format=torch.channels_last)


class NotFiniteError(ModelError):
    """The detector gives logits that are no numbers: its training has diverged, or its weights are damaged."""


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
    """Logits of every image, (N, C) float32, in the order of the dataset; the model's mode is left as it was.

    Raises:
        ModelError: the logits are not (N, C).
        NotFiniteError: they are not finite; the message names the first image by its place.
    """
    loader: DataLoader[Any] = DataLoader(images, batch_size=batch_size, shuffle=False, num_workers=workers)
    was_training = model.training
    model.eval()
    found: list[NDArray[np.float32]] = []
    try:
        with torch.inference_mode():
            for batch, places in loader:
                with autocast(device, precision):
                    output = model(to_input(batch, device))
                logits = logits_of(output, len(batch)).float().cpu()
                finite = torch.isfinite(logits).all(dim=1)
                if not bool(finite.all()):
                    place = int(places[int((~finite).nonzero()[0])])
                    raise NotFiniteError(
                        f"the detector gives logits that are not finite, first at image {place}", "train again"
                    )
                found.append(logits.numpy())
                if advance is not None:
                    advance(len(batch))
    finally:
        model.train(was_training)
    if len({part.shape[1] for part in found}) > 1:
        raise ModelError("the detector changes its number of logits from batch to batch")
    return np.concatenate(found) if found else np.zeros((0, 1), np.float32)
