"""How similar fakes are to their sources and targets: computed once, and stored beside the manifests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfbench.errors import DataError
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.similarities import (
    Similarity,
    SimilarityOrigin,
    read_similarities,
    similarities_of,
    similarity_path,
    write_similarities,
)
from dfbench.manifest.triples import Triples
from dfbench.progress import progress
from dfbench.training.images import ImagesRequest, read_crops
from dfbench.versions import library_versions

logger = logging.getLogger("dfbench")

Compare = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]
"""Similarity of a batch of crops, uint8 (N, 3, S, S), to each of several others, image by image: (N,), in [-1,1]."""


def triple_similarities(
    request: ImagesRequest, triples: Triples, origin: SimilarityOrigin, compare: Compare, batch_size: int = 16
) -> tuple[Similarity, Similarity]:
    """Return the similarity of every training row to its source and to its target; those of reals are 1.

    Those that no manifest has are computed and stored beside the shards; other trainings find them there.

    Args:
        request: the training samples.
        triples: of the same rows, all of them complete.
        origin: what decides the values.
        compare: computes them.
        batch_size: fakes at a time.

    Returns:
        Two arrays, float32 (n,).

    Raises:
        DataError: a value is not a number in [-1,1].
        SetupError: the values cannot be stored.
    """
    samples = request.data.columns(["sample_id", "label"])
    known = []
    for manifest, usable, rows in request.data.ok_parts:
        fakes = rows[usable.labels == 1]
        stored = _stored(manifest, origin)
        held = set(stored["sample_id"].to_pylist()) if stored is not None else set()
        ids = samples["sample_id"].take(pa.array(fakes)).to_pylist()
        lacking = [place for place, name in enumerate(ids) if name not in held]
        if lacking:
            values = _computed(request, triples, fakes[lacking], compare, batch_size)
            names, columns = [ids[place] for place in lacking], list(values)
            if stored is not None:
                names += stored["sample_id"].to_pylist()
                earlier = (stored[f"{face}_similarity"].to_numpy() for face in ("source", "target"))
                columns = [np.concatenate(both) for both in zip(columns, earlier, strict=True)]
            made_by = replace(origin, versions=library_versions())
            write_similarities(manifest, names, columns[0], columns[1], made_by)
            stored = read_similarities(manifest, origin)
        known += [stored] if stored is not None else []
    return similarities_of(samples, pa.concat_tables(known))


def _stored(manifest: Manifest, origin: SimilarityOrigin) -> pa.Table | None:
    """Return what is stored of an origin; None if there is nothing that can be used."""
    if not similarity_path(manifest, origin).is_file():
        return None
    try:
        return read_similarities(manifest, origin)
    except DataError as error:
        logger.warning("%s: the similarities are computed again", error.message)
        return None


def _computed(
    request: ImagesRequest, triples: Triples, rows: NDArray[np.int64], compare: Compare, batch_size: int
) -> tuple[Similarity, Similarity]:
    """Compute the similarities of some rows, with crops as they are stored."""
    crops = request.data.stored_images  # those of a condition would be kept for trainings without it
    found: list[NDArray[np.float32]] = []
    with progress("similarities", len(rows), "img", quiet=request.quiet) as advance:
        for start in range(0, len(rows), batch_size):
            some = rows[start : start + batch_size]
            own, *others = (
                read_crops(crops, part.tolist(), 0) for part in (some, triples.source[some], triples.target[some])
            )
            found.append(torch.stack(list(compare(own, others))).float().cpu().numpy())
            advance(len(some))
    source, target = np.concatenate(found, axis=1)
    return source, target
