"""How similar fakes are to their sources and targets: computed once, and stored beside the manifests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfbench.errors import DataError
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.similarities import (
    MethodSimilarity,
    Similarity,
    SimilarityOrigin,
    read_similarities,
    similarities_of,
    similarity_by_method,
    similarity_path,
    write_similarities,
)
from dfbench.manifest.triples import Triples
from dfbench.progress import progress
from dfbench.training.images import ImagesRequest, read_crops
from dfbench.training.lightning import is_first_process
from dfbench.versions import library_versions

logger = logging.getLogger("dfbench")

Compare = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]
"""Similarity of a batch of crops, uint8 (N, 3, S, S), to each of several others, image by image: (N,), in [-1,1]."""


@dataclass(frozen=True, eq=False)
class TripleSimilarities:
    """How similar every training row is to its source and to its target; reals have 1.

    Attributes:
        source: float32 (n,).
        target: float32 (n,).
        by_method: means of the fakes of each manipulation.
    """

    source: Similarity
    target: Similarity
    by_method: tuple[MethodSimilarity, ...]

    def record(self) -> dict[str, Any]:
        """Return the means as JSON values for :attr:`dfbench.training.MethodImages.record`, by manipulation."""
        found = {}
        for mean in self.by_method:
            values = asdict(mean)
            found[values.pop("manipulation")] = values
        return {"similarities": found}


def triple_similarities(
    request: ImagesRequest, triples: Triples, origin: SimilarityOrigin, compare: Compare, batch_size: int = 16
) -> TripleSimilarities:
    """Return the similarity of every training row to its source and to its target, and log the means.

    Those that no manifest has are computed and stored beside the shards; other trainings find them there.

    Args:
        request: the training samples.
        triples: of the same rows, all of them complete.
        origin: what decides the values.
        compare: computes them.
        batch_size: fakes at a time.

    Raises:
        DataError: a value is not a number in [-1,1].
        SetupError: the values cannot be stored.
    """
    samples = request.data.columns(["sample_id", "label", "manipulation"])
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
    table = pa.concat_tables(known)
    found = TripleSimilarities(*similarities_of(samples, table), tuple(similarity_by_method(samples, table)))
    if is_first_process():
        means = (f"{m.manipulation} {m.source:.3f} and {m.target:.3f} ({m.fakes} fakes)" for m in found.by_method)
        logger.info("mean similarity of fakes to source and target: %s", ", ".join(means))
    return found


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
