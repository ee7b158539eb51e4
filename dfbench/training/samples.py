"""The training samples: images, labels, targets, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench.evaluation.dataset import RoleData
from dfbench.protocols.protocol import Protocol
from dfbench.training.optimization import balanced_weights
from dfbench.training.recipe import FullRecipe
from dfbench.training.sampler import Indices, epoch_order


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training samples, row by row.

    Attributes:
        images: items are (uint8 3,S,S, row).
        labels: 0 real, 1 fake; used for sampling.
        bases: real clip that every row is or was made from; used for sampling.
        targets: class numbers.
        sample_ids: ids.
        class_weights: (C,), weights of the classes in the loss; None: equal weights.
        real_classes: numbers of the classes of real faces.
        columns: columns of the manifest that the training method needs; None: it needs none.
    """

    images: Dataset[tuple[Tensor, int]]
    labels: Sequence[int]
    bases: Sequence[str]
    targets: Tensor
    sample_ids: Sequence[str]
    class_weights: Tensor | None = None
    real_classes: tuple[int, ...] = (0,)
    columns: pa.Table | None = None

    def values_of(self, rows: Sequence[int]) -> Mapping[str, Sequence[Any]]:
        """Return the values of :attr:`columns` in some rows, by the name of the column."""
        if self.columns is None:
            return {}
        found: dict[str, Sequence[Any]] = self.columns.take(list(rows)).to_pydict()
        return found

    def batches(self, recipe: FullRecipe, epoch: int, devices: int) -> list[list[int]]:
        """Return the batches of an epoch, over all devices."""
        order = epoch_order(self.labels, epoch, recipe.seed, recipe.sampling, recipe.samples_per_epoch, self.bases)
        return batches(order, recipe.batch_size, smallest=2 * devices)


def training_data(part: RoleData, rules: Protocol, recipe: FullRecipe, columns: pa.Table | None = None) -> TrainingData:
    """Return the samples of the role ``train``, with class weights where the recipe states them.

    Args:
        part: the samples.
        rules: the protocol.
        recipe: the recipe.
        columns: what the training method needs of the manifest, a row per sample with a crop.
    """
    rows = part.ok_table
    targets = torch.from_numpy(part.targets())
    weights = balanced_weights(targets, rules.num_classes) if recipe.class_weights == "balanced" else None
    return TrainingData(
        part.images,
        rows["label"].to_pylist(),
        part.bases(),
        targets,
        rows["sample_id"].to_pylist(),
        weights,
        rules.real_numbers,
        columns,
    )


def batches(order: Indices, size: int, smallest: int = 2) -> list[list[int]]:
    """Cut an order into batches; a last one below ``smallest`` joins the previous (batch norm needs two per device)."""
    cut = [order[i : i + size].tolist() for i in range(0, len(order), size)]
    if len(cut) > 1 and len(cut[-1]) < smallest:
        cut[-2:] = [cut[-2] + cut[-1]]
    return cut


def device_part(batch: list[int], rank: int, devices: int) -> list[int]:
    """Return a device's part of a batch: consecutive samples; sizes differ by one at most.

    >>> [device_part([1, 2, 3, 4, 5, 6], rank, 2) for rank in range(2)]
    [[1, 2, 3], [4, 5, 6]]
    """
    return [int(row) for row in np.array_split(batch, devices)[rank]]
