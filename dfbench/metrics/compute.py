"""Compute the metrics of a scores table, with intervals and counts, for every slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.deprecation import renamed_keywords
from dfbench.errors import UndefinedMetric, unknown_name
from dfbench.metrics.binary import equal_error, ties_at
from dfbench.metrics.bootstrap import (
    NO_RESAMPLES,
    Draws,
    Interval,
    draw_groups,
    estimate,
)
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.metric_intervals import metric_interval
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.samples import (
    FACE_AGGREGATIONS,
    FAILURE_POLICIES,
    MetricSamples,
    apply_policy,
    one_face,
    requested_and_scored,
    samples_of,
)
from dfbench.metrics.score_rows import SliceKey, checked_rows, slices
from dfbench.metrics.validation import Labels, check_threshold
from dfbench.schema.ids import seed_from
from dfbench.schema.result import MetricValue


@renamed_keywords(faces="face_aggregation")
def compute_metrics(
    scores: pa.Table,
    names: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    per_manipulation: bool = True,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
    classes: Sequence[str] = (),
    real_classes: Sequence[str] = (),
) -> list[MetricValue]:
    """Compute metrics of one detector's scores.

    There is one value per data set, subset and condition for ``manipulation = "all"`` and, with
    ``per_manipulation``, one for each manipulation against the reals of the same data set, subset and condition.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        names: metric names, see :func:`dfbench.metrics.names.parse_metric`.
        threshold: decision threshold; ``score >= threshold`` is fake. ``vote`` applies it to frames, and 0.5 to the
            fraction of votes of a video.
        resamples: number of bootstrap resamples over scene groups, for intervals of metrics other than the AUC;
            0: no intervals.
        seed: bootstrap seed; draws depend only on it and on the name of the slice, so that two detectors on the same
            samples get the same draws.
        per_manipulation: whether to compute each manipulation separately.
        failure_policy: how a requested sample without a score counts: ``exclude`` skips it, ``as-real``, ``as-fake``
            and ``as-chance`` give it the score 0, 1 or 0.5 before any aggregation.
        face_aggregation: how several faces of a frame become one: ``largest``, ``max``, ``mean``; None: one per frame.
        classes: class names of a multi-class task, in the order of the logits; ``acc``, ``bacc``, ``macro-f1`` and
            ``recall@class`` then use the most probable class. All other metrics use P(fake).
        real_classes: those of ``classes`` that are of real faces, as declared by a protocol; a sample without a score
            then counts the same whichever rows are present. Default: the classes of the reals in the table.

    Raises:
        DataError: the table breaks its contract: columns, several models, scores outside [0,1], a clip with two
            labels or two scene groups, several faces of one frame without ``face_aggregation``.
        UsageError: an unknown metric name, failure policy, face aggregation or class.
    """
    parsed = [parse_metric(name) for name in names]
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes), tuple(real_classes))
    values: list[MetricValue] = []
    for key, manipulation, part in slices(checked_rows(scores, classes), per_manipulation):
        current = MetricSlice(part, rules, resamples, seed_from("/".join((*key, manipulation)), "bootstrap", seed))
        counted = {level: requested_and_scored(part, level) for level in {name.level for name in parsed}}
        values += [
            MetricValue(
                name=str(name),
                dataset=key[0],
                subset=key[1],
                condition=key[2],
                manipulation=manipulation,
                profile="",
                size=0,
                **counted[name.level],
                **current.measure(name),
            )
            for name in parsed
        ]
    return values


def samples_by_slice(
    scores: pa.Table,
    name: str,
    *,
    threshold: float = 0.5,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
    classes: Sequence[str] = (),
    real_classes: Sequence[str] = (),
) -> dict[SliceKey, MetricSamples]:
    """Return the samples a metric is computed on, by (data set, subset, condition), over all manipulations.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`.
        name: a metric name, which gives level and aggregation.
        threshold: decision threshold of ``vote``.
        failure_policy: as in :func:`compute_metrics`.
        face_aggregation: as in :func:`compute_metrics`.
        classes: as in :func:`compute_metrics`.
        real_classes: as in :func:`compute_metrics`.

    Raises:
        DataError, UsageError: as :func:`compute_metrics`.
    """
    parsed = parse_metric(name)
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes), tuple(real_classes))
    found = slices(checked_rows(scores, classes), per_manipulation=False)
    return {key: rules.samples(part, parsed) for key, _, part in found}


class MetricRules:
    """How rows of a scores table become the samples of a metric.

    Args:
        threshold: decision threshold.
        failure_policy: how a sample without a score counts.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.
        real_classes: those of real faces; default: the classes of the reals in the rows.

    Raises:
        UsageError: an unknown failure policy, face aggregation or class of reals.
        DataError: the threshold is outside [0,1].
    """

    def __init__(
        self,
        threshold: float,
        failure_policy: str,
        face_aggregation: str | None,
        classes: tuple[str, ...],
        real_classes: tuple[str, ...] = (),
    ) -> None:
        if failure_policy not in FAILURE_POLICIES:
            raise unknown_name("failure policy", failure_policy, FAILURE_POLICIES)
        if face_aggregation is not None and face_aggregation not in FACE_AGGREGATIONS:
            raise unknown_name("face aggregation", face_aggregation, FACE_AGGREGATIONS)
        for name in real_classes:
            if name not in classes:
                raise unknown_name("class of reals", name, classes)
        self.threshold = check_threshold(threshold)
        self.failure_policy = failure_policy
        self.face_aggregation = face_aggregation
        self.classes = classes
        self.real_classes = real_classes

    def samples(self, rows: pd.DataFrame, name: MetricName) -> MetricSamples:
        """Return what a metric is computed on, from the rows of one slice."""
        if name.variant is not None and name.variant.samples is not None:
            return name.variant.samples(rows)
        used = apply_policy(one_face(rows, self.face_aggregation), self.failure_policy, self.classes, self.real_classes)
        return samples_of(used, name.level, name.aggregation, self.threshold, self.classes)

    def decision(self, name: MetricName) -> float:
        """Return the threshold on the samples' scores.

        A fraction of votes is compared with 0.5, since the declared threshold was applied to the frames.
        """
        if name.definition.above is not None:
            return name.definition.above
        return 0.5 if name.aggregation == "vote" else self.threshold


class MetricSlice:
    """One data set, subset, condition and manipulation; its metrics share samples and bootstrap draws."""

    def __init__(self, rows: pd.DataFrame, rules: MetricRules, resamples: int, seed: int) -> None:
        self._rows = rows
        self._rules = rules
        self.resamples = resamples
        self._seed = seed
        self._samples: dict[str, MetricSamples] = {}
        self._draws: dict[tuple[int, ...], Draws] = {}

    def measure(self, name: MetricName) -> dict[str, object]:
        """Compute the fields of a :class:`MetricValue` that depend on the scores."""
        definition, samples, decision = name.definition, self.samples(name), self._rules.decision(name)
        judged = definition.at_threshold and (samples.classes is None or definition.always_binary)
        threshold = self._rules.threshold if definition.above is None else definition.above
        fields: dict[str, object] = {
            "n": len(samples.labels),
            "n_media": samples.n_media,
            "n_positive": int(np.sum(samples.labels, dtype=np.int64)),
            "cluster": samples.cluster,
            "n_clusters": samples.n_clusters,
            "threshold": threshold if judged else None,
            "ties": ties_at(samples.decided, decision) if judged else None,
        }
        try:
            value = self.value(name)
        except UndefinedMetric as reason:
            return fields | {"value": None, "undefined": reason.message}
        if name.column == "eer":
            fields["threshold"] = equal_error(samples.labels, samples.scores).threshold
        interval = self._interval(name, samples, value)
        return fields | {
            "value": value,
            "low": interval.low,
            "high": interval.high,
            "interval_note": interval.note,
            "interval_method": interval.method or None,
        }

    def samples(self, name: MetricName) -> MetricSamples:
        """Return what a metric is computed on."""
        built_by = f"{name.rule}~{name.reference}" if name.variant and name.variant.samples else name.rule
        if built_by not in self._samples:
            self._samples[built_by] = self._rules.samples(self._rows, name)
        return self._samples[built_by]

    def value(self, name: MetricName) -> float:
        """Compute the metric.

        Raises:
            UndefinedMetric: it is undefined on this slice.
        """
        return estimate(name.definition, self.samples(name), self._rules.decision(name), self.classes)

    @property
    def classes(self) -> Sequence[str]:
        """Class names of the task."""
        return self._rules.classes or BINARY

    def _interval(self, name: MetricName, samples: MetricSamples, value: float) -> Interval:
        if not self.resamples:
            return Interval(None, None, NO_RESAMPLES)
        return metric_interval(
            name.definition,
            samples,
            value,
            self.draw,
            threshold=self._rules.decision(name),
            classes=self.classes,
        )

    def draw(self, labels: Labels, units: NDArray[np.intp]) -> Draws:
        """Return how often each unit is drawn in each resample, see :func:`dfbench.metrics.bootstrap.draw_groups`."""
        # Groups and their classes are equal at every level, unless a reference implementation groups otherwise.
        strata = np.unique(np.stack([units, labels]), axis=1)
        key = tuple(strata.ravel().tolist())
        if key not in self._draws:
            self._draws[key] = draw_groups(labels, units, self.resamples, self._seed)
        return self._draws[key]
