"""Metrics of a scores table: every data set, subset, condition and manipulation, with intervals and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dfbench.errors import DataError, UndefinedMetric, unknown_name
from dfbench.metrics.aggregation import aggregate
from dfbench.metrics.classification import equal_error, ties_at
from dfbench.metrics.intervals import Draws, Interval, draw_groups, percentile_interval, refusal, resample
from dfbench.metrics.kinds import Kind, require_classes
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.ranking import rank, vertices
from dfbench.metrics.validation import Labels, Scores, check_scores, check_threshold
from dfbench.schema.ids import seed_from
from dfbench.schema.result import MetricValue
from dfbench.schema.scores import SCORES

FailurePolicy = Literal["exclude", "as-real", "as-fake", "as-chance"]
_FILL: dict[str, float] = {"as-real": 0.0, "as-fake": 1.0, "as-chance": 0.5}
_CELL = ["dataset", "subset", "condition"]
ALL = "all"


@dataclass(frozen=True, eq=False)
class Samples:
    """What one metric is computed on: frames, or videos.

    Attributes:
        labels: (N,) 0 real, 1 fake, int8.
        scores: (N,) P(fake), float64.
        groups: (N,) number of each sample's scene group, 0 to G - 1.
        n_media: how many clips or images they come from.
    """

    labels: Labels
    scores: Scores
    groups: NDArray[np.intp]
    n_media: int


def compute_metrics(
    scores: pa.Table,
    names: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    per_manipulation: bool = True,
    failure_policy: str = "exclude",
    profile: str = "",
    size: int = 0,
    train_condition: str = "clean",
    train_seed: int | None = None,
) -> list[MetricValue]:
    """All metrics of one detector's scores.

    One value for every data set x subset x condition, for ``manipulation = "all"`` and, with ``per_manipulation``,
    for each manipulation against the reals of the same data set, subset and condition.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        names: metric names, see :func:`dfbench.metrics.names.parse_metric`.
        threshold: decision threshold; ``score >= threshold`` is fake. ``vote`` judges frames by it and a video by
            half of its votes.
        resamples: of the bootstrap over scene groups; 0: no intervals.
        seed: of the bootstrap; draws depend on it and on the cell's name alone, so two detectors on the same
            samples meet the same draws.
        per_manipulation: whether to judge each manipulation apart.
        failure_policy: what a requested sample without a score counts as: ``exclude`` leaves it out, ``as-real``,
            ``as-fake`` and ``as-chance`` give it the score 0, 1 or 0.5 before any aggregation.
        profile: crop profile, carried into the values.
        size: crop size in pixels, carried into the values.
        train_condition: condition the detector was trained under, carried into the values.
        train_seed: training seed, carried into the values.

    Raises:
        DataError: the table breaks its contract: columns, several models, scores that are no probabilities, a clip
            with two labels or two scene groups, several faces of one frame.
        UsageError: an unknown metric name or failure policy.
    """
    parsed = [parse_metric(name) for name in names]
    if failure_policy not in get_args(FailurePolicy):
        raise unknown_name("failure policy", failure_policy, get_args(FailurePolicy))
    check_threshold(threshold)
    frame = _checked_frame(scores)
    values: list[MetricValue] = []
    for place, manipulation, part in _cells(frame, per_manipulation):
        used = _apply_policy(part, failure_policy)
        cell_seed = seed_from("/".join((*place, manipulation)), "bootstrap", seed)
        cell = _Cell(used, threshold, resamples, cell_seed)
        coverage = float((part["status"] == "ok").mean())
        for name in parsed:
            number = cell.measure(name)
            values.append(
                MetricValue(
                    name=str(name),
                    dataset=place[0],
                    subset=place[1],
                    condition=place[2],
                    manipulation=manipulation,
                    coverage=coverage,
                    profile=profile,
                    size=size,
                    seed=train_seed,
                    train_condition=train_condition,
                    **number,
                )
            )
    return values


def samples_by_cell(
    scores: pa.Table, name: str, *, threshold: float = 0.5, failure_policy: str = "exclude"
) -> dict[tuple[str, str, str], Samples]:
    """The samples that a metric rests on, by (data set, subset, condition), all manipulations: for figures.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
        name: a metric name; its level and aggregation count.
        threshold: of ``vote``.
        failure_policy: as in :func:`compute_metrics`.

    Raises:
        DataError, UsageError: as :func:`compute_metrics`.
    """
    parsed = parse_metric(name)
    cells = _cells(_checked_frame(scores), per_manipulation=False)
    return {place: samples_of(_apply_policy(part, failure_policy), parsed, threshold) for place, _, part in cells}


class _Cell:
    """One data set, subset, condition and manipulation; levels and draws are made once and shared by its metrics."""

    def __init__(self, frame: pd.DataFrame, threshold: float, resamples: int, seed: int) -> None:
        self._frame = frame
        self._threshold = threshold
        self._resamples = resamples
        self._seed = seed
        self._samples: dict[str, Samples] = {}
        self._draws: Draws | None = None

    def measure(self, name: MetricName) -> dict[str, object]:
        """The fields of a :class:`MetricValue` that depend on the scores."""
        kind = name.kind
        samples = self._samples.setdefault(name.rule, samples_of(self._frame, name, self._threshold))
        # A share of votes is judged by half of the votes; the declared threshold has judged the frames.
        decision = 0.5 if name.aggregation == "vote" else self._threshold
        fields: dict[str, object] = {
            "n": len(samples.labels),
            "n_media": samples.n_media,
            "n_positive": int(np.sum(samples.labels, dtype=np.int64)),
            "n_clusters": len(np.unique(samples.groups)),
            "threshold": self._threshold if kind.at_threshold else None,
            "ties": ties_at(samples.scores, decision) if kind.at_threshold else None,
        }
        try:
            require_classes(kind, samples.labels)
        except UndefinedMetric as reason:
            return fields | {"value": None, "undefined": reason.message}
        if name.metric == "eer":
            fields["threshold"] = equal_error(samples.labels, samples.scores).threshold
        interval = self._interval(kind, samples, decision)
        return fields | {
            "value": estimate(kind, samples, decision),
            "low": interval.low,
            "high": interval.high,
            "interval_note": interval.note,
        }

    def _interval(self, kind: Kind, samples: Samples, threshold: float) -> Interval:
        if not self._resamples:
            return Interval(None, None, "no resamples were asked for")
        reason = refusal(samples.labels, samples.groups, kind.both)
        if reason:
            return Interval(None, None, reason)
        if self._draws is None:  # groups and the classes in them are the same at every level
            self._draws = draw_groups(samples.labels, samples.groups, self._resamples, self._seed)
        values = resample(kind, samples.labels, samples.scores, samples.groups, self._draws, threshold)
        return percentile_interval(values)


def estimate(kind: Kind, samples: Samples, threshold: float) -> float:
    """The metric itself: the resampling formula with every sample counted once."""
    if kind.ranked is not None:
        return float(kind.ranked(*vertices(rank(samples.labels, samples.scores)))[0])
    assert kind.columns is not None
    assert kind.summed is not None
    columns = kind.columns(samples.labels, samples.scores, threshold)
    return float(kind.summed(columns.sum(axis=0, keepdims=True))[0])


def samples_of(frame: pd.DataFrame, name: MetricName, threshold: float) -> Samples:
    """Frames or videos of the scored rows, by the metric's level."""
    labels = frame["label"].to_numpy(np.int8)
    scores = frame["score"].to_numpy(np.float64)
    _, groups = np.unique(frame["scene_group"].to_numpy(str), return_inverse=True)
    if name.level == "frame" or not len(frame):
        return Samples(labels, scores, groups, int(frame["media_id"].nunique()))
    videos = aggregate(frame["media_id"].to_numpy(str), labels, scores, name.aggregation, threshold)
    return Samples(videos.labels, videos.scores, groups[videos.first], len(videos.labels))


def _cells(frame: pd.DataFrame, per_manipulation: bool) -> Iterator[tuple[tuple[str, str, str], str, pd.DataFrame]]:
    for key, part in frame.groupby(_CELL, sort=True):
        place = (str(key[0]), str(key[1]), str(key[2]))
        yield place, ALL, part
        if per_manipulation:
            real = part["label"] == 0
            for manipulation in sorted(part.loc[~real, "manipulation"].unique()):
                yield place, manipulation, part[real | (part["manipulation"] == manipulation)]


def _apply_policy(part: pd.DataFrame, policy: str) -> pd.DataFrame:
    if policy == "exclude":
        return part[part["status"] == "ok"]
    return part.assign(score=part["score"].where(part["status"] == "ok", _FILL[policy]))


def _checked_frame(scores: pa.Table) -> pd.DataFrame:
    SCORES.check(scores)
    columns = [
        "sample_id",
        "media_id",
        *_CELL,
        "manipulation",
        "scene_group",
        "label",
        "model",
        "run_id",
        "status",
        "score",
    ]
    frame: pd.DataFrame = scores.select(columns).to_pandas()
    for column in ("model", "run_id"):
        if frame[column].nunique() > 1:
            found = ", ".join(sorted(frame[column].unique())[:3])
            raise DataError(f"the scores hold more than one {column}: {found}", "compute the metrics of each apart")
    ok = frame["status"] == "ok"
    contradiction = ok == frame["score"].isna()
    if contradiction.any():
        first = frame.loc[contradiction, "sample_id"].iloc[0]
        raise DataError(f"{int(contradiction.sum())} rows have a status that contradicts their score, first: {first}")
    if not frame["label"].isin((0, 1)).all():
        raise DataError("the scores hold labels other than 0 (real) and 1 (fake)")
    try:
        check_scores(frame.loc[ok, "score"].to_numpy())
    except DataError as error:
        bad = frame.loc[ok & ~frame["score"].between(0, 1), "sample_id"].iloc[0]
        raise DataError(f"{error.message}; first sample: {bad}", error.hint) from error
    _one_value_a_media(frame, "label")
    _one_value_a_media(frame, "scene_group")
    _one_face_a_frame(scores)
    return frame


def _one_value_a_media(frame: pd.DataFrame, column: str) -> None:
    pairs = frame[["media_id", column]].drop_duplicates()
    twice = pairs[pairs["media_id"].duplicated()]
    if len(twice):
        raise DataError(f"media with more than one {column}, first: {twice['media_id'].iloc[0]}")


def _one_face_a_frame(scores: pa.Table) -> None:
    frames = pc.replace_substring_regex(scores["sample_id"], r"\.\d+$", "")
    table = pa.table({"frame": frames, "condition": scores["condition"]})
    counts = table.group_by(["frame", "condition"]).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if len(twice):
        raise DataError(
            f"several faces of one frame are scored, first: {twice['frame'][0].as_py()}",
            "choose one face a frame before metrics are computed",
        )
