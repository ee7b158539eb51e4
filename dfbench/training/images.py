"""The images of training batches: stored crops, or those that a training method makes of the training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dfbench.evaluation.loader import ImageBatch, collate

if TYPE_CHECKING:
    from dfbench.evaluation.dataset import RoleData
    from dfbench.training.recipe import FullRecipe


class LoadedImages(NamedTuple):
    """The images of a training batch before augmentation.

    Attributes:
        images: uint8 (N, 3, S, S), RGB, in the memory layout of :func:`dfbench.evaluation.loader.collate`.
        rows: N training rows that the images belong to.
        targets: int64 (N,), class numbers; None: those of the rows.
        others: name -> further images, uint8 (N, 3, S, S) RGB, or values, float32 (N,); None: there are none.
    """

    images: Tensor
    rows: list[int]
    targets: Tensor | None = None
    others: Mapping[str, Tensor] | None = None


class EpochDataset(Dataset[Any]):
    """Training images that depend on the epoch: an item stands for a row in an epoch.

    The epoch is a part of the item because worker processes, which have a copy of this object, outlive epochs.

    Args:
        count: number of training rows.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def in_epoch(self, rows: Sequence[int], epoch: int) -> list[int]:
        """Return the items of some rows in an epoch, counted from 0."""
        return [row + epoch * self.count for row in rows]

    def row_and_epoch(self, item: int) -> tuple[int, int]:
        """Return what an item stands for."""
        epoch, row = divmod(item, self.count)
        return row, epoch


@dataclass(frozen=True, eq=False)
class ImagesRequest:
    """What a training method makes its images from.

    Attributes:
        data: the training samples; row ``i`` is that of ``data.ok_table``.
        crops: their crops, degraded where the recipe says so; see :func:`read_crops`.
        recipe: the training recipe.
        options: every option of the method with its value.
        device: where the training runs.
        quiet: whether no progress bar is wanted.
    """

    data: RoleData
    crops: Dataset[tuple[Tensor, int]]
    recipe: FullRecipe
    options: Mapping[str, Any]
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (a value)
    quiet: bool = False


@dataclass(frozen=True, eq=False)
class MethodImages:
    """The images that a training method supplies in place of the crops alone.

    Attributes:
        dataset: its ``__getitems__`` receives items of :meth:`EpochDataset.in_epoch` and returns
            :class:`LoadedImages`: as many images as items, or with the sampling ``reals`` twice as many.
        rows: int64, in ascending order, the training rows that can be used; None: all.
        counts: what was skipped or replaced -> how often; recorded in the weight card.
        record: JSON values, which the card lists as ``method_record``, beside those of the steps.
    """

    dataset: EpochDataset
    rows: NDArray[np.int64] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)


def items_in_epoch(images: Dataset[Any], rows: Sequence[int], epoch: int) -> list[int]:
    """Return the items of some rows in an epoch, counted from 0; crops as stored do not depend on it."""
    return images.in_epoch(rows, epoch) if isinstance(images, EpochDataset) else list(rows)


def read_crops(crops: Dataset[tuple[Tensor, int]], rows: Sequence[int], epoch: int) -> Tensor:
    """Return the crops of some rows in an epoch, uint8 (N, 3, S, S); see :attr:`ImagesRequest.crops`."""
    items = items_in_epoch(crops, rows, epoch)
    several = getattr(crops, "__getitems__", None)
    return collate(several(items) if several is not None else [crops[item] for item in items])[0]


def collate_training(items: LoadedImages | ImageBatch | Sequence[tuple[Tensor, int]]) -> LoadedImages:
    """Join crops to a batch; see :func:`dfbench.evaluation.loader.collate`."""
    return items if isinstance(items, LoadedImages) else LoadedImages(*collate(items))
