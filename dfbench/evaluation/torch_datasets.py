"""The crops of several manifests as one torch dataset, as stored or under a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench import degrade


class ConcatenatedImages(Dataset[tuple[Tensor, int]]):
    """Datasets one after the other; an item is (image, its index).

    Args:
        parts: datasets whose items are (uint8 3,S,S, row).
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.ends = np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return image and index."""
        part = int(np.searchsorted(self.ends, index, side="right"))
        start = int(self.ends[part - 1]) if part else 0
        image: Tensor = self.parts[part][index - start][0]
        return image, index


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
