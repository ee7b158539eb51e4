"""What looks wrong about scores although they are valid: said beside the numbers, never repaired."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from dfbench.metrics.binary import auc
from dfbench.metrics.score_rows import cells, checked_rows

FEW_VALUES = 2
_ENOUGH = 20  # samples of each class below which nothing is said
_INVERTED = 0.35


def doubts(scores: pa.Table) -> list[str]:
    """One sentence for each data set, subset and condition whose scores look thresholded or turned round.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.

    Raises:
        DataError: as :func:`dfbench.metrics.compute_metrics`.
    """
    return [
        f"{'/'.join(place[:2])} {place[2]}: {sentence}"
        for place, _, rows in cells(checked_rows(scores), per_manipulation=False)
        for sentence in _of_cell(rows[rows["status"] == "ok"])
    ]


def _of_cell(rows: pd.DataFrame) -> Iterator[str]:
    counts = rows["label"].value_counts()
    if len(counts) < 2 or counts.min() < _ENOUGH:
        return
    distinct = rows["score"].nunique()
    if distinct <= FEW_VALUES:
        yield (
            f"{len(rows)} scores take only {distinct} distinct value{'s' if distinct > 1 else ''}: they look like "
            "decisions, and AUC, EER and AP of decisions are not those of the detector"
        )
    ranked = auc(rows["label"].to_numpy(), rows["score"].to_numpy())
    if ranked < _INVERTED:
        yield f"AUC {ranked:.3f}, far below chance: labels or scores may be turned round (fake = 1, scores are P(fake))"
