"""The crops of (source, target, fake) triples as the images of a training method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench.manifest.triples import TRIPLE_COLUMNS, Convention, Triples, find_triples, require_triples
from dfbench.training.images import EpochDataset, ImagesRequest, LoadedImages, MethodImages, read_crops


class TripleImages(EpochDataset):
    """Crops, and beside them those of their source and target; a crop that a batch needs several times is read once.

    Args:
        crops: items are (uint8 3,S,S, row); see :attr:`dfbench.training.images.ImagesRequest.crops`.
        triples: of the same rows.
    """

    def __init__(self, crops: Dataset[tuple[Tensor, int]], triples: Triples) -> None:
        super().__init__(len(triples.source))
        self.crops = crops
        self.triples = triples

    def __getitems__(self, items: Sequence[int]) -> LoadedImages:
        """Return the crops of some rows in one epoch, with those of ``source`` and ``target`` as the others.

        Raises:
            ValueError: a row has no source or no target, or the items are of several epochs.
        """
        rows, epochs = zip(*map(self.row_and_epoch, items), strict=True)
        if len(set(epochs)) > 1:
            raise ValueError("the items of a batch are of several epochs")
        chosen = np.array(rows, np.int64)
        wanted = np.stack([chosen, self.triples.source[chosen], self.triples.target[chosen]])
        if lone := chosen[(wanted < 0).any(axis=0)].tolist():
            raise ValueError(f"row {lone[0]} has no source or no target: use rows of triples.complete alone")
        distinct, places = np.unique(wanted, return_inverse=True)
        crops = read_crops(self.crops, distinct.tolist(), epochs[0]).permute(0, 2, 3, 1)
        parts = (crops[torch.from_numpy(part)] for part in places.reshape(wanted.shape))
        own, source, target = (part.permute(0, 3, 1, 2) for part in parts)
        return LoadedImages(own, list(rows), None, {"source": source, "target": target})


def triple_images(request: ImagesRequest, convention: Convention = "ffpp", own_geometry: bool = False) -> MethodImages:
    """Return the images of a method that trains on triples, for :attr:`dfbench.training.TrainingMethod.images`.

    Args:
        request: the training samples and their crops.
        convention: what is called source; see :func:`dfbench.manifest.triples.find_triples`.
        own_geometry: see :func:`dfbench.manifest.triples.require_triples`.

    Returns:
        The images, with what was replaced, by method: ``Deepfakes source_replaced`` -> number of fakes.

    Raises:
        DataError: a fake has no source or no target, or none of their crops is what was asked for.
    """
    table = request.data.columns(TRIPLE_COLUMNS)
    triples = find_triples(table, convention)
    require_triples(table, triples, own_geometry)
    counts = {
        f"{method} {name}": number
        for method, found in triples.counts.items()
        for name, number in asdict(found).items()
        if number or name == "fakes"
    }
    return MethodImages(TripleImages(request.crops, triples), counts=counts)
