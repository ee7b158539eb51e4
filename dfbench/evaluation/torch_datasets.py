"""The crops of several manifests as one torch dataset, as stored or under a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench import degrade
from dfbench.evaluation.loader import ImageBatch
from dfbench.manifest.torch_dataset import CropDataset


class ConcatenatedImages(Dataset[tuple[Tensor, int]]):
    """Datasets one after the other; an item is (image, its index).

    Args:
        parts: datasets whose items are (uint8 3,S,S, row).
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.ends = np.cumsum([len(part) for part in self.parts])
        self.starts = [0, *self.ends.tolist()]
        crops = [part for part in self.parts if isinstance(part, CropDataset)]
        self.joined = len(crops) == len(self.parts) and len({part.size for part in crops}) == 1

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        part = int(np.searchsorted(self.ends, index, side="right"))
        start = int(self.ends[part - 1]) if part else 0
        image: Tensor = self.parts[part][index - start][0]
        return image, index

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch | list[tuple[Tensor, int]]:
        """Return a batch, for which every crop is decoded into its place in one array, without a copy of its own.

        Loaders of PyTorch call this for a whole batch. Parts other than :class:`~dfbench.manifest.CropDataset` give
        items, which the loader joins.
        """
        if not self.joined:
            return [self[index] for index in indices]
        size = self.parts[0].size
        images = np.empty((len(indices), size, size, 3), np.uint8)
        numbers = np.searchsorted(self.ends, indices, side="right").tolist()
        for place, (index, part) in enumerate(zip(indices, numbers, strict=True)):
            self.parts[part].read_into(images[place], index - self.starts[part])
        return ImageBatch(torch.from_numpy(images).permute(0, 3, 1, 2), list(indices))


class CropsInMemory(Dataset[tuple[Tensor, int]]):
    """Crops that are decoded once and kept in memory, for evaluation under many conditions.

    Args:
        images: items are (uint8 3,S,S, index).
        size: S, crop size in pixels.
    """

    def __init__(self, images: ConcatenatedImages, size: int) -> None:
        self.crops = torch.empty((len(images), size, size, 3), dtype=torch.uint8)
        for index in range(len(images)):
            self.crops[index] = images[index][0].permute(1, 2, 0)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        return self.crops[index].permute(2, 0, 1), index

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        """Return a batch, see :meth:`ConcatenatedImages.__getitems__`."""
        return ImageBatch(self.crops[list(indices)].permute(0, 3, 1, 2), list(indices))


class DegradedCrops(Dataset[tuple[Tensor, int]]):
    """Crops under a condition that acts on the crop itself; pixels do not depend on order or worker.

    Args:
        images: items are (uint8 3,S,S, index).
        condition: acts ``@crop``.
        sample_ids: id of every item, which determines random draws.
    """

    def __init__(
        self, images: Dataset[tuple[Tensor, int]], condition: degrade.Condition, sample_ids: Sequence[str]
    ) -> None:
        self.images = images
        self.condition = condition
        self.sample_ids = sample_ids

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        image, row = self.images[index]
        return degraded(image, self.condition, self.sample_ids[index]), row


def degraded(image: Tensor, condition: degrade.Condition, sample_id: str) -> Tensor:
    """Return a crop, uint8 3,S,S, under a condition; see :func:`dfbench.degrade.apply`."""
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    result = degrade.apply(condition, pixels, sample_id)
    return torch.from_numpy(np.ascontiguousarray(result)).permute(2, 0, 1)
