"""The images of a training: every image with its source and its target, and how similar it is to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfbench.training import (
    EpochDataset,
    ImagesRequest,
    LoadedImages,
    MethodImages,
    SimilarityOrigin,
    TripleImages,
    triple_images,
    triple_similarities,
)
from reference_models.diffusionfake.diffusion import load_autoencoder, weights_sha256
from reference_models.diffusionfake.similarity import resized, similarities_to


class SimilarTriples(EpochDataset):
    """Triples with the similarities that the weight networks learn.

    Args:
        triples: the images.
        source: float32 (n,), similarity of each row to its source.
        target: float32 (n,), to its target.
    """

    def __init__(self, triples: TripleImages, source: NDArray[np.float32], target: NDArray[np.float32]) -> None:
        super().__init__(len(triples))
        self.triples = triples
        self.similarities = {"source_similarity": source, "target_similarity": target}

    def __getitems__(self, items: Sequence[int]) -> LoadedImages:
        """Return the images of some rows in one epoch, with what belongs to them."""
        loaded = self.triples.__getitems__(items)
        values = {name: torch.from_numpy(known[loaded.rows]) for name, known in self.similarities.items()}
        return loaded._replace(others={**(loaded.others or {}), **values})


def training_images(request: ImagesRequest) -> MethodImages:
    """Return the images of a training; similarities that are not stored yet are computed first.

    Raises:
        DataError: a fake has no source or no target, or none of their crops is what was asked for.
        SetupError: the similarities cannot be stored.
    """
    options = request.options
    made = triple_images(request, options["convention"], options["own_geometry"])
    if not options["weight"]:
        return made
    images = cast("TripleImages", made.dataset)
    vae = load_autoencoder(options["sd"], options["version"]).to(request.device)
    kind, size = options["similarity"], options["size"]
    origin = SimilarityOrigin(
        weights_sha256(vae),
        f"{kind}, {size} pixels",
        request.data.protocol.crops.size,
        options["convention"],
    )

    def compare(crops: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
        own, *compared = (resized(images.to(request.device), size) for images in (crops, *others))
        return similarities_to(vae, own, compared, kind)

    found = triple_similarities(request, images.triples, origin, compare)
    return replace(made, dataset=SimilarTriples(images, found.source, found.target), record=found.record())
