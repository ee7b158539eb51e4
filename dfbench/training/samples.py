"""The training samples: images, labels, targets, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from dfbench.evaluation.dataset import RoleData
from dfbench.protocols.protocol import Protocol
from dfbench.training.augment import DegradedAtRandom
from dfbench.training.images import ImagesRequest
from dfbench.training.methods import TrainingMethod
from dfbench.training.optimization import balanced_weights
from dfbench.training.recipe import FullRecipe
from dfbench.training.requirements import needed_columns
from dfbench.training.sampler import Indices, epoch_order

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training samples, row by row.

    Attributes:
        images: items are (uint8 3,S,S, row), or those of the training method.
        labels: 0 real, 1 fake; used for sampling.
        bases: real clip that every row is or was made from; used for sampling.
        targets: class numbers.
        sample_ids: ids.
        class_weights: (C,), weights of the classes in the loss; None: equal weights.
        real_classes: numbers of the classes of real faces.
        columns: columns of the manifest that the training method needs; None: it needs none.
        usable: the rows that the training method can use, in ascending order; None: all.
        method_counts: what the training method skipped or replaced -> how often.
        method_record: what its images tell for the card.
    """

    images: Dataset[tuple[Tensor, int]]
    labels: Sequence[int]
    bases: Sequence[str]
    targets: Tensor
    sample_ids: Sequence[str]
    class_weights: Tensor | None = None
    real_classes: tuple[int, ...] = (0,)
    columns: pa.Table | None = None
    usable: NDArray[np.int64] | None = None
    method_counts: Mapping[str, int] = field(default_factory=dict)
    method_record: Mapping[str, Any] = field(default_factory=dict)

    def values_of(self, rows: Sequence[int]) -> Mapping[str, Sequence[Any]]:
        """Return the values of :attr:`columns` in some rows, by the name of the column."""
        if self.columns is None:
            return {}
        found: dict[str, Sequence[Any]] = self.columns.take(list(rows)).to_pydict()
        return found

    def batches(self, recipe: FullRecipe, epoch: int, devices: int) -> list[list[int]]:
        """Return the rows of each batch of an epoch, over all devices."""
        labels, bases = self.labels, self.bases
        if self.usable is not None:
            labels, bases = [labels[row] for row in self.usable], [bases[row] for row in self.usable]
        order = epoch_order(labels, epoch, recipe.seed, recipe.sampling, recipe.samples_per_epoch, bases)
        each = recipe.images_per_row
        rows = order if self.usable is None else self.usable[order]
        return batches(rows, max(1, recipe.batch_size // each), smallest=-(-2 * devices // each))


def training_data(
    part: RoleData,
    rules: Protocol,
    recipe: FullRecipe,
    method: TrainingMethod,
    device: torch.device = CPU,
    quiet: bool = False,
) -> TrainingData:
    """Return the samples of the role ``train``, with class weights where the recipe states them.

    Args:
        part: the samples.
        rules: the protocol.
        recipe: the recipe.
        method: the training method, which may supply the images and need columns of the manifest.
        device: where the training runs.
        quiet: no progress bar for what the method computes first.

    Raises:
        DfbenchError: the samples do not have what the method needs.
    """
    rows = part.ok_table
    targets = torch.from_numpy(part.targets())
    ids = rows["sample_id"].to_pylist()
    # A real and a fake image of every row: the classes are balanced already.
    weighted = recipe.class_weights == "balanced" and recipe.sampling != "reals"
    crops = part.images
    if recipe.augmentation.degradations:
        crops = DegradedAtRandom(crops, ids, recipe.augmentation, recipe.seed)
    made = method.new_images(ImagesRequest(part, crops, recipe, method.options, device, quiet))
    return TrainingData(
        crops if made is None else made.dataset,
        rows["label"].to_pylist(),
        part.bases(),
        targets,
        ids,
        balanced_weights(targets, rules.num_classes) if weighted else None,
        rules.real_numbers,
        needed_columns(method, part),
        None if made is None else made.rows,
        {} if made is None else made.counts,
        {} if made is None else made.record,
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
