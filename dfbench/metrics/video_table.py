"""The videos of a scores table one by one: what each got, and how many frames that rests on."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from dfbench.metrics.aggregation import aggregate
from dfbench.metrics.samples import apply_policy, one_face
from dfbench.metrics.score_rows import CELL, cells, checked_rows

VIDEO_COLUMNS = ("media_id", *CELL, "manipulation", "label", "score", "frames", "requested")


def video_table(
    scores: pa.Table,
    aggregation: str = "mean",
    *,
    threshold: float = 0.5,
    failure_policy: str = "exclude",
    faces: str | None = None,
) -> pd.DataFrame:
    """One row for every clip or image under every condition, by the rules that metrics at video level have.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        aggregation: of :func:`dfbench.metrics.aggregation.aggregate`.
        threshold: of ``vote``.
        failure_policy: as in :func:`dfbench.metrics.compute_metrics`.
        faces: as in :func:`dfbench.metrics.compute_metrics`.

    Returns:
        :data:`VIDEO_COLUMNS`, sorted by data set, subset, condition and media id: ``score`` is P(fake), NaN where no
        frame has one; ``frames`` those that were scored, ``requested`` all of them.

    Raises:
        DataError: as :func:`dfbench.metrics.compute_metrics`.
        UsageError: an unknown aggregation.
    """
    parts = []
    for place, _, rows in cells(checked_rows(scores), per_manipulation=False):
        frames = one_face(rows, faces)
        by_media = frames.assign(ok=frames["status"] == "ok").groupby("media_id", sort=True)
        part = by_media.agg(
            manipulation=("manipulation", "first"),
            label=("label", "first"),
            frames=("ok", "sum"),
            requested=("ok", "size"),
        )
        part = part.assign(score=float("nan"), **dict(zip(CELL, place, strict=True)))
        used = apply_policy(frames, failure_policy)
        if len(used):
            media = used["media_id"].to_numpy(str)
            videos = aggregate(media, used["label"].to_numpy(), used["score"].to_numpy(), aggregation, threshold)
            part.loc[videos.media_ids, "score"] = videos.scores
        parts.append(part.reset_index())
    if not parts:
        return pd.DataFrame(columns=list(VIDEO_COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(VIDEO_COLUMNS)]
