"""Summaries of a scores table: coverage by label and manipulation, scores per video, and warnings."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from dfbench.deprecation import renamed_keywords
from dfbench.metrics.binary import auc
from dfbench.metrics.samples import apply_policy, one_face, videos_of
from dfbench.metrics.score_rows import SLICE, checked_rows, slices
from dfbench.schema.result import Coverage

VIDEO_COLUMNS = ("media_id", *SLICE, "manipulation", "label", "score", "frames", "requested")
_COVERAGE_KEY = ["dataset", "subset", "condition", "label", "manipulation"]
_FEW_VALUES = 2
_MIN_SAMPLES = 20  # of each class; with fewer there are no warnings
_INVERTED = 0.35


def coverage_rows(scores: pa.Table) -> list[Coverage]:
    """Count requested and scored samples by data set, subset, condition, label and manipulation.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.

    Returns:
        One row per combination, sorted by these columns.
    """
    frame: pd.DataFrame = scores.select([*_COVERAGE_KEY, "status"]).to_pandas()
    rows: list[Coverage] = []
    for key, part in frame.groupby(_COVERAGE_KEY, sort=True):
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


@renamed_keywords(faces="face_aggregation")
def video_table(
    scores: pa.Table,
    aggregation: str = "mean",
    *,
    threshold: float = 0.5,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
) -> pd.DataFrame:
    """Compute one row per clip or image and condition, by the rules of metrics at video level.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        aggregation: ``how`` of :func:`dfbench.metrics.aggregation.aggregate`.
        threshold: decision threshold of ``vote``.
        failure_policy: as in :func:`dfbench.metrics.compute_metrics`.
        face_aggregation: as in :func:`dfbench.metrics.compute_metrics`.

    Returns:
        :data:`VIDEO_COLUMNS`, sorted by data set, subset, condition and media id: ``score`` is P(fake), NaN if no frame
        has a score; ``frames`` is the number of scored frames, ``requested`` of all frames.

    Raises:
        DataError: as :func:`dfbench.metrics.compute_metrics`.
        UsageError: an unknown aggregation.
    """
    parts = []
    for key, _, rows in slices(checked_rows(scores), per_manipulation=False):
        frames = one_face(rows, face_aggregation)
        by_media = frames.assign(ok=frames["status"] == "ok").groupby("media_id", sort=True)
        part = by_media.agg(
            manipulation=("manipulation", "first"),
            label=("label", "first"),
            frames=("ok", "sum"),
            requested=("ok", "size"),
        )
        part = part.assign(score=float("nan"), **dict(zip(SLICE, key, strict=True)))
        used = apply_policy(frames, failure_policy)
        if len(used):
            videos = videos_of(used, aggregation, threshold)
            part.loc[videos.media_ids, "score"] = videos.scores
        parts.append(part.reset_index())
    if not parts:
        return pd.DataFrame(columns=list(VIDEO_COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(VIDEO_COLUMNS)]


def score_warnings(scores: pa.Table) -> list[str]:
    """Return one sentence per data set, subset and condition whose scores look thresholded or inverted.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.

    Raises:
        DataError: as :func:`dfbench.metrics.compute_metrics`.
    """
    return [
        f"{'/'.join(key[:2])} {key[2]}: {sentence}"
        for key, _, rows in slices(checked_rows(scores), per_manipulation=False)
        for sentence in _warnings_of(rows[rows["status"] == "ok"])
    ]


def _warnings_of(rows: pd.DataFrame) -> Iterator[str]:
    counts = rows["label"].value_counts()
    if len(counts) < 2 or counts.min() < _MIN_SAMPLES:
        return
    distinct = rows["score"].nunique()
    if distinct <= _FEW_VALUES:
        yield (
            f"{len(rows)} scores have only {distinct} distinct value{'s' if distinct > 1 else ''}: they look like "
            "decisions, whose AUC, EER and AP are not those of the detector"
        )
    ranked = auc(rows["label"].to_numpy(), rows["score"].to_numpy())
    if ranked < _INVERTED:
        yield f"AUC {ranked:.3f}, far below chance: labels or scores may be inverted (fake = 1, scores are P(fake))"
