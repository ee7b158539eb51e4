"""Metrics of a scores table: every data set, subset, condition and manipulation, with intervals and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from dfbench.errors import UndefinedMetric, unknown_name
from dfbench.metrics.binary import equal_error, ties_at
from dfbench.metrics.bootstrap import (
    Draws,
    Interval,
    draw_groups,
    estimate,
    percentile_interval,
    refusal,
    resample,
)
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.roc import Values
from dfbench.metrics.samples import (
    FAILURE_POLICIES,
    FRAME_FACES,
    Samples,
    apply_policy,
    one_face,
    samples_of,
)
from dfbench.metrics.score_rows import Place, cells, checked_rows
from dfbench.metrics.validation import check_threshold
from dfbench.schema.ids import seed_from
from dfbench.schema.result import MetricValue


def compute_metrics(
    scores: pa.Table,
    names: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    per_manipulation: bool = True,
    failure_policy: str = "exclude",
    faces: str | None = None,
    classes: Sequence[str] = (),
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
        faces: how several faces of a frame become one: ``largest``, ``max``, ``mean``; None: a frame has one.
        classes: of a multi-class task, in the order of the logits; ``acc``, ``bacc``, ``macro-f1`` and
            ``recall@class`` then judge the class of the highest probability. All other metrics judge P(fake).
        profile: crop profile, carried into the values.
        size: crop size in pixels, carried into the values.
        train_condition: condition the detector was trained under, carried into the values.
        train_seed: training seed, carried into the values.

    Raises:
        DataError: the table breaks its contract: columns, several models, scores that are no probabilities, a clip
            with two labels or two scene groups, several faces of one frame and no rule for them.
        UsageError: an unknown metric name, failure policy, rule for faces or class.
    """
    parsed = [parse_metric(name) for name in names]
    rules = Rules(threshold, failure_policy, faces, tuple(classes))
    values: list[MetricValue] = []
    for place, manipulation, part in cells(checked_rows(scores, classes), per_manipulation):
        cell = Cell(part, rules, resamples, seed_from("/".join((*place, manipulation)), "bootstrap", seed))
        coverage = _coverage(part)
        values += [
            MetricValue(
                name=str(name),
                dataset=place[0],
                subset=place[1],
                condition=place[2],
                manipulation=manipulation,
                profile=profile,
                size=size,
                seed=train_seed,
                train_condition=train_condition,
                **coverage,
                **cell.measure(name),
            )
            for name in parsed
        ]
    return values


def samples_by_cell(
    scores: pa.Table,
    name: str,
    *,
    threshold: float = 0.5,
    failure_policy: str = "exclude",
    faces: str | None = None,
    classes: Sequence[str] = (),
) -> dict[Place, Samples]:
    """The samples that a metric rests on, by (data set, subset, condition), all manipulations: for figures.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
        name: a metric name; its level and aggregation count.
        threshold: of ``vote``.
        failure_policy: as in :func:`compute_metrics`.
        faces: as in :func:`compute_metrics`.
        classes: as in :func:`compute_metrics`.

    Raises:
        DataError, UsageError: as :func:`compute_metrics`.
    """
    parsed, rules = parse_metric(name), Rules(threshold, failure_policy, faces, tuple(classes))
    found = cells(checked_rows(scores, classes), per_manipulation=False)
    return {place: rules.samples(part, parsed) for place, _, part in found}


class Rules:
    """How rows become the samples of a metric.

    Args:
        threshold: decision threshold.
        failure_policy: what a sample without a score counts as.
        faces: how several faces of a frame become one.
        classes: of a multi-class task.

    Raises:
        UsageError: an unknown policy or rule.
        DataError: the threshold lies outside [0,1].
    """

    def __init__(self, threshold: float, failure_policy: str, faces: str | None, classes: tuple[str, ...]) -> None:
        if failure_policy not in FAILURE_POLICIES:
            raise unknown_name("failure policy", failure_policy, FAILURE_POLICIES)
        if faces is not None and faces not in FRAME_FACES:
            raise unknown_name("rule for several faces", faces, FRAME_FACES)
        self.threshold = check_threshold(threshold)
        self.failure_policy = failure_policy
        self.faces = faces
        self.classes = classes

    def samples(self, rows: pd.DataFrame, name: MetricName) -> Samples:
        """What a metric is computed on, of the rows of one cell."""
        if name.variant is not None and name.variant.samples is not None:
            return name.variant.samples(rows)
        used = apply_policy(one_face(rows, self.faces), self.failure_policy, self.classes)
        return samples_of(used, name.level, name.aggregation, self.threshold, self.classes)

    def decision(self, name: MetricName) -> float:
        """The threshold on the samples' scores.

        A share of votes is judged by half of the votes: the declared threshold has judged the frames.
        """
        if name.kind.above is not None:
            return name.kind.above
        return 0.5 if name.aggregation == "vote" else self.threshold


class Cell:
    """One data set, subset, condition and manipulation; samples and draws are made once and shared by its metrics."""

    def __init__(self, rows: pd.DataFrame, rules: Rules, resamples: int, seed: int) -> None:
        self._rows = rows
        self._rules = rules
        self.resamples = resamples
        self._seed = seed
        self._samples: dict[str, Samples] = {}
        self._draws: dict[tuple[int, ...], Draws] = {}

    def measure(self, name: MetricName) -> dict[str, object]:
        """The fields of a :class:`MetricValue` that depend on the scores."""
        kind, samples, decision = name.kind, self.samples(name), self._rules.decision(name)
        judged = kind.at_threshold and (samples.classes is None or kind.always_binary)
        threshold = self._rules.threshold if kind.above is None else kind.above
        fields: dict[str, object] = {
            "n": len(samples.labels),
            "n_media": samples.n_media,
            "n_positive": int(np.sum(samples.labels, dtype=np.int64)),
            "n_clusters": len(np.unique(samples.groups)),
            "threshold": threshold if judged else None,
            "ties": ties_at(samples.scores, decision) if judged else None,
        }
        try:
            value = self.value(name)
        except UndefinedMetric as reason:
            return fields | {"value": None, "undefined": reason.message}
        if name.column == "eer":
            fields["threshold"] = equal_error(samples.labels, samples.scores).threshold
        interval = self._interval(name, samples)
        return fields | {
            "value": value,
            "low": interval.low,
            "high": interval.high,
            "interval_note": interval.note,
        }

    def samples(self, name: MetricName) -> Samples:
        """What a metric rests on."""
        built_by = f"{name.rule}~{name.peer}" if name.variant and name.variant.samples else name.rule
        if built_by not in self._samples:
            self._samples[built_by] = self._rules.samples(self._rows, name)
        return self._samples[built_by]

    def value(self, name: MetricName) -> float:
        """The metric.

        Raises:
            UndefinedMetric: it does not exist here.
        """
        return estimate(name.kind, self.samples(name), self._rules.decision(name), self._classes)

    def resampled(self, name: MetricName) -> Values:
        """The metric on every resample; (B,)."""
        samples = self.samples(name)
        draws = self._draws_for(samples)
        return resample(name.kind, samples, draws, self._rules.decision(name), self._classes)

    @property
    def _classes(self) -> Sequence[str]:
        return self._rules.classes or BINARY

    def _interval(self, name: MetricName, samples: Samples) -> Interval:
        if not self.resamples:
            return Interval(None, None, "no resamples were asked for")
        reason = refusal(samples.labels, samples.groups, name.kind.both)
        if reason:
            return Interval(None, None, reason)
        return percentile_interval(self.resampled(name))

    def _draws_for(self, samples: Samples) -> Draws:
        # Groups and the classes in them are the same at every level; a peer's way of forming videos may differ.
        strata = np.unique(np.stack([samples.groups, samples.labels]), axis=1)
        key = tuple(strata.ravel().tolist())
        if key not in self._draws:
            self._draws[key] = draw_groups(samples.labels, samples.groups, self.resamples, self._seed)
        return self._draws[key]


def _coverage(rows: pd.DataFrame) -> Mapping[str, float | None]:
    """Scored over requested samples: of all, of the reals, of the fakes."""
    scored = rows["status"] == "ok"

    def share(of: pd.Series) -> float | None:
        return float(scored[of].mean()) if of.any() else None

    return {
        "coverage": float(scored.mean()),
        "coverage_real": share(rows["label"] == 0),
        "coverage_fake": share(rows["label"] == 1),
    }
