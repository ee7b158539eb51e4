"""The crops of several manifests as one torch dataset, as they are stored or under a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench import degrade


class Images(Dataset[tuple[Tensor, int]]):
    """Datasets one after the other; an item is (image, its place from 0).

    Args:
        parts: datasets whose items are (uint8 3,S,S, row).
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.ends = np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Image and place."""
        part = int(np.searchsorted(self.ends, place, side="right"))
        start = int(self.ends[part - 1]) if part else 0
        image: Tensor = self.parts[part][place - start][0]
        return image, place


class Held(Dataset[tuple[Tensor, int]]):
    """Crops that were decoded once, for going through them under many conditions.

    Args:
        images: items are (uint8 3,S,S, place).
        size: S, crop size in pixels.
    """

    def __init__(self, images: Images, size: int) -> None:
        self.pictures = torch.empty((len(images), 3, size, size), dtype=torch.uint8)
        for place in range(len(images)):
            self.pictures[place] = images[place][0]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Image and place."""
        return self.pictures[place], place


class Degraded(Dataset[tuple[Tensor, int]]):
    """Crops under a condition that acts on the crop itself: the same pixels in any order and worker.

    Args:
        images: items are (uint8 3,S,S, place).
        condition: acts ``@crop``.
        sample_ids: id of every item, which randomness is drawn from.
    """

    def __init__(
        self, images: Dataset[tuple[Tensor, int]], condition: degrade.Condition, sample_ids: Sequence[str]
    ) -> None:
        self.images = images
        self.condition = condition
        self.sample_ids = sample_ids

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Image and place."""
        image, row = self.images[place]
        return degraded(image, self.condition, self.sample_ids[place]), row


def degraded(image: Tensor, condition: degrade.Condition, sample_id: str) -> Tensor:
    """A crop, uint8 3,S,S, under a condition; see :func:`dfbench.degrade.apply`."""
    picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    result = degrade.apply(condition, picture, sample_id)
    return torch.from_numpy(np.ascontiguousarray(result.transpose(2, 0, 1)))
