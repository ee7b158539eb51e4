"""Requested against scored samples, by label and manipulation: nothing vanishes."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from dfbench.schema.result import Coverage

_KEY = ["dataset", "subset", "condition", "label", "manipulation"]


def coverage_rows(scores: pa.Table) -> list[Coverage]:
    """One row for every data set, subset, condition, label and manipulation of a scores table, sorted by these.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
    """
    frame: pd.DataFrame = scores.select([*_KEY, "status"]).to_pandas()
    rows: list[Coverage] = []
    for key, part in frame.groupby(_KEY, sort=True):
        dataset, subset, condition, label, manipulation = key
        by_status = {str(k): int(v) for k, v in sorted(part["status"].value_counts().items())}
        rows.append(
            Coverage(
                dataset=str(dataset),
                subset=str(subset),
                manipulation=str(manipulation),
                label=int(str(label)),
                condition=str(condition),
                requested=len(part),
                scored=by_status.get("ok", 0),
                by_status=by_status,
            )
        )
    return rows
