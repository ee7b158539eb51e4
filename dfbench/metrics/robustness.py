"""Robustness of a metric to degradations: drop per condition, mean over families, worst condition.

All conditions are evaluated on the same samples, so drops are paired: their interval is that of a paired difference
(:mod:`dfbench.metrics.difference_tests`), and that of a mean over conditions is by the method of a single metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import NO_RESAMPLES, Interval, draw_groups, estimate, resample
from dfbench.metrics.compute import MetricRules, samples_by_slice
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.difference_tests import assess_difference, no_test_reason
from dfbench.metrics.metric_intervals import (
    Spread,
    SpreadOver,
    influence_spread,
    interval_over,
    method_of,
    no_metric_interval,
    resampled_spread,
    spread_over_clusters,
)
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.people import Units
from dfbench.metrics.roc import Values, auc_of
from dfbench.metrics.samples import MetricSamples
from dfbench.schema.ids import seed_from
from dfbench.schema.result import ConditionDrop, FamilyMean, Robustness

CLEAN = "clean"


@dataclass(frozen=True)
class ConditionOrigin:
    """Family of a condition, and its severity from 1 to 5 if it is a standard condition."""

    family: str
    severity: int | None = None


ConditionOrigins = Mapping[str, ConditionOrigin]


def robustness(
    scores: pa.Table,
    names: Sequence[str],
    origins: ConditionOrigins,
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    failure_policy: str = "exclude",
    face_aggregation: str | None = None,
    classes: Sequence[str] = (),
    real_classes: Sequence[str] = (),
) -> list[Robustness]:
    """Summarise robustness per data set, subset and metric, given scores for ``clean`` and another condition.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        names: metric names, of metrics where larger is better.
        origins: condition -> family and severity; conditions without an entry are skipped.
        threshold: decision threshold.
        resamples: number of bootstrap resamples, the same for all conditions, for metrics other than the AUC; 0: no
            intervals.
        seed: bootstrap seed.
        failure_policy: see :func:`dfbench.metrics.compute.compute_metrics`, also for the arguments below.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.
        real_classes: those of real faces.

    Raises:
        DataError: the table breaks its contract, or a condition was evaluated on other samples than ``clean``.
        UsageError: an unknown metric name or failure policy.
    """
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes), tuple(real_classes))
    found: list[Robustness] = []
    for name in map(parse_metric, names):
        samples = samples_by_slice(
            scores,
            str(name),
            threshold=threshold,
            failure_policy=failure_policy,
            face_aggregation=face_aggregation,
            classes=classes,
            real_classes=real_classes,
        )
        for dataset, subset in dict.fromkeys(key[:2] for key in samples):
            under = {key[2]: part for key, part in samples.items() if key[:2] == (dataset, subset)}
            others = [c for c in origins if c in under and c != CLEAN]
            if CLEAN not in under or not others:
                continue
            where = f"{dataset}/{subset}"
            for condition in others:
                _same_samples(under[CLEAN], under[condition], f"{condition} of {where}")
            draw_seed = seed_from(where, "paired bootstrap", seed)
            paired = _PairedConditions(name, under[CLEAN], rules, resamples, draw_seed)
            chosen = {condition: under[condition] for condition in others}
            found.append(_summary(name, paired, (dataset, subset), under[CLEAN], chosen, origins))
    return found


@dataclass(frozen=True, eq=False)
class _ConditionValue:
    """A metric under one condition, or a mean or difference of such values, which is linear in the parts too.

    Attributes:
        value: the metric.
        parts: AUC: the influence of each sample; other metrics: the resampled values, for each kind of units.
    """

    value: float
    parts: tuple[Values, ...]

    def __sub__(self, other: _ConditionValue) -> _ConditionValue:
        parts = tuple(mine - theirs for mine, theirs in zip(self.parts, other.parts, strict=True))
        return _ConditionValue(self.value - other.value, parts)


def _mean(numbers: Sequence[_ConditionValue]) -> _ConditionValue:
    parts = zip(*(n.parts for n in numbers), strict=True)
    return _ConditionValue(float(np.mean([n.value for n in numbers])), tuple(np.mean(p, axis=0) for p in parts))


class _PairedConditions:
    """Computes one metric under every condition of the same samples, and intervals of what is derived from the values.

    The variance of a mean or difference is that of its influences, by the methods of
    :mod:`dfbench.metrics.metric_intervals`; what all conditions have in common cancels out of differences.
    """

    def __init__(
        self, name: MetricName, baseline: MetricSamples, rules: MetricRules, resamples: int, seed: int
    ) -> None:
        self._definition = name.definition
        self._threshold = rules.decision(name)
        self._classes = rules.classes or BINARY
        self._baseline = baseline
        people = baseline.people
        self._kinds = (baseline.groups,) if people is None else (people.targets, people.sources, people.pairs)
        self.no_drops = no_test_reason(self._definition, baseline) if resamples else NO_RESAMPLES
        self.no_mean = no_metric_interval(self._definition, baseline, self._classes) if resamples else NO_RESAMPLES
        self._assessed = self.no_drops is None or self.no_mean is None
        self._ranked = self._definition.ranked is auc_of
        drawn = self._kinds if self._assessed and not self._ranked else ()
        self._draws = [draw_groups(baseline.labels, units, resamples, seed) for units in drawn]

    def measure(self, samples: MetricSamples) -> _ConditionValue | None:
        """Compute the metric; None if it is undefined, which then holds for every condition."""
        try:
            value = estimate(self._definition, samples, self._threshold, self._classes)
        except UndefinedMetric:
            return None
        if self._ranked and self._assessed:
            return _ConditionValue(value, (auc_influence(samples.labels, samples.scores)[1],))
        parts = (
            resample(self._definition, replace(samples, groups=units), draws, self._threshold, self._classes)
            for units, draws in zip(self._kinds, self._draws, strict=False)
        )
        return _ConditionValue(value, tuple(parts))

    def drop_ends(self, drop: _ConditionValue) -> tuple[float | None, float | None]:
        """Return the ends of the paired interval of a drop."""
        if self.no_drops is not None:
            return None, None
        spread = spread_over_clusters(self._baseline, self._over(drop))
        found = assess_difference(drop.value, spread, self._baseline.n_clusters, self._definition.bounds)
        return found.low, found.high

    def mean_interval(self, mean: _ConditionValue) -> Interval:
        """Return the interval of a mean over conditions."""
        if self.no_mean is not None:
            return Interval(None, None, self.no_mean)
        return interval_over(self._definition, self._baseline, mean.value, self._over(mean), self._classes)

    def _over(self, number: _ConditionValue) -> SpreadOver:
        def over(units: Units, least: float) -> Spread:
            if self._ranked:
                return influence_spread(number.parts[0], units, least)
            place = next(n for n, kind in enumerate(self._kinds) if kind is units)
            return resampled_spread(number.parts[place], self._draws[place], least)

        return over


def _summary(
    name: MetricName,
    paired: _PairedConditions,
    data: tuple[str, str],
    baseline: MetricSamples,
    under: Mapping[str, MetricSamples],
    origins: ConditionOrigins,
) -> Robustness:
    clean = paired.measure(baseline)
    numbers = {condition: paired.measure(samples) for condition, samples in under.items()}
    found: dict[str, Any] = {
        "name": str(name),
        "dataset": data[0],
        "subset": data[1],
        "value": clean.value if clean else None,
        "cells": tuple(
            _drop(condition, origins[condition], clean, number, paired) for condition, number in numbers.items()
        ),
        "cluster": baseline.cluster,
        "n_clusters": baseline.n_clusters,
        "interval_note": paired.no_drops,
    }
    members: dict[str, list[_ConditionValue]] = {}
    for condition, number in numbers.items():
        if number is not None:
            members.setdefault(origins[condition].family, []).append(number)
    families = {family: _mean(own) for family, own in members.items()}
    found["families"] = tuple(
        FamilyMean(family=family, value=number.value, conditions=len(members[family]))
        for family, number in families.items()
    )
    if clean is not None and families:
        mean = _mean(list(families.values()))
        drop, interval = clean - mean, paired.mean_interval(mean)
        found |= {"mean": mean.value, "mean_low": interval.low, "mean_high": interval.high, "drop": drop.value}
        found["drop_low"], found["drop_high"] = paired.drop_ends(drop)
        found["interval_method"] = interval.method or (None if paired.no_drops else method_of(name.definition))
        found["interval_note"] = paired.no_drops or interval.note
        values = {condition: number.value for condition, number in numbers.items() if number is not None}
        found["worst"] = min(values, key=lambda condition: values[condition])
    return Robustness(**found)


def _drop(
    condition: str,
    origin: ConditionOrigin,
    clean: _ConditionValue | None,
    number: _ConditionValue | None,
    paired: _PairedConditions,
) -> ConditionDrop:
    plain = ConditionDrop(condition=condition, family=origin.family, severity=origin.severity, value=None)
    if clean is None or number is None:
        return plain
    drop = clean - number
    low, high = paired.drop_ends(drop)
    return plain.model_copy(update={"value": number.value, "drop": drop.value, "low": low, "high": high})


def _same_samples(one: MetricSamples, other: MetricSamples, what: str) -> None:
    same = len(one.labels) == len(other.labels) and (one.labels == other.labels).all()
    if not same or not (one.groups == other.groups).all():
        raise DataError(f"{what} was evaluated on other samples than {CLEAN}", "rerun the evaluation: dfbench evaluate")
