"""The crops of several manifests as one torch dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset


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
