"""Batches of crops for a detector: worker processes, pinned memory, and the memory layout of the detector's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import joblib
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

MOST_WORKERS = 16
"""Largest number of worker processes that is chosen automatically, per device."""
PREFETCHED = 4  # batches that a worker prepares ahead


def worker_count(asked: int | None, device: torch.device, devices: int = 1) -> int:
    """Return the number of processes that read crops for a device.

    Args:
        asked: the number asked for; None: no process on a CPU, whose cores the network uses itself; for a GPU one per
            CPU core and GPU less one for this process, at least 1 and at most :data:`MOST_WORKERS`.
        device: where the network runs.
        devices: number of devices that share the CPU.
    """
    if asked is not None:
        return asked
    if device.type == "cpu":
        return 0
    cores = int(joblib.cpu_count())
    return min(MOST_WORKERS, max(1, cores // devices - 1))


class ImageBatch(NamedTuple):
    """Crops that a dataset has joined itself.

    Attributes:
        images: uint8 (N, 3, S, S), in the memory layout of :func:`collate`.
        rows: the row of each.
    """

    images: Tensor
    rows: list[int]


def collate(items: ImageBatch | Sequence[tuple[Tensor, int]]) -> tuple[Tensor, list[int]]:
    """Join crops to a batch.

    Args:
        items: crops, uint8 (3, S, S), each with its row; or a batch, which is returned as it is.

    Returns:
        uint8 (N, 3, S, S), whose memory is ordered N, S, S, 3 (``channels_last``), as decoders give it and as
        :func:`dfbench.evaluation.inference.to_input` wants it; and the rows, which stay plain numbers so that
        reading them does not wait for a GPU.
    """
    if isinstance(items, ImageBatch):
        return items.images, items.rows
    images = torch.stack([image.permute(1, 2, 0) for image, _ in items]).permute(0, 3, 1, 2)
    return images, [row for _, row in items]


def image_loader(
    images: Dataset[tuple[Tensor, int]],
    device: torch.device,
    *,
    workers: int,
    batch_size: int = 64,
    batches: Sequence[Sequence[int]] | None = None,
    seed: int | None = None,
    join: Callable[[Any], Any] = collate,
) -> DataLoader[Any]:
    """Return a loader of batches.

    Worker processes live on between iterations, each prepares :data:`PREFETCHED` batches ahead, and for a GPU the
    batches are in pinned memory, from which they are copied while the GPU computes. None of this changes a batch.

    Args:
        images: items are (uint8 3,S,S, row).
        device: where the batches will be used.
        workers: number of processes; 0 reads in this process.
        batch_size: crops per batch, in the order of the dataset.
        batches: indices of the crops of each batch, in place of ``batch_size``; may be changed between iterations.
        seed: of the loader's own random generator; None: it draws one number from torch's global generator.
        join: makes a batch of what the dataset returns.
    """
    options: dict[str, Any] = {"batch_sampler": batches}
    if batches is None:
        options = {"batch_size": batch_size}
        workers = min(workers, -(-len(images) // batch_size))  # type: ignore[arg-type]
    if workers:
        options |= {"persistent_workers": True, "prefetch_factor": PREFETCHED}
    if seed is not None:
        options["generator"] = torch.Generator().manual_seed(seed)
    return DataLoader(images, num_workers=workers, collate_fn=join, pin_memory=device.type == "cuda", **options)
