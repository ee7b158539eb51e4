"""Robustness of a metric to degradations: drop per condition, mean over families, worst condition.

All conditions are evaluated on the same samples, so the bootstrap is paired: a resample draws the same scene groups
under every condition, and the interval of a drop is the interval of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import (
    NO_RESAMPLES,
    draw_groups,
    estimate,
    percentile_interval,
    resample,
)
from dfbench.metrics.compute import MetricRules, samples_by_slice
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.metric_intervals import no_difference_interval
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.samples import MetricSamples
from dfbench.schema.ids import seed_from
from dfbench.schema.result import ConditionDrop, FamilyMean, Robustness

CLEAN = "clean"

Resampled = NDArray[np.float64]


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
) -> list[Robustness]:
    """Summarise robustness per data set, subset and metric, given scores for ``clean`` and another condition.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        names: metric names, of metrics where larger is better.
        origins: condition -> family and severity; conditions without an entry are skipped.
        threshold: decision threshold.
        resamples: number of resamples of the paired bootstrap over scene groups; 0: no intervals.
        seed: bootstrap seed.
        failure_policy: see :func:`dfbench.metrics.compute.compute_metrics`, also for the arguments below.
        face_aggregation: how several faces of a frame become one.
        classes: class names of a multi-class task.

    Raises:
        DataError: the table breaks its contract, or a condition was evaluated on other samples than ``clean``.
        UsageError: an unknown metric name or failure policy.
    """
    rules = MetricRules(threshold, failure_policy, face_aggregation, tuple(classes))
    found: list[Robustness] = []
    for name in map(parse_metric, names):
        samples = samples_by_slice(
            scores,
            str(name),
            threshold=threshold,
            failure_policy=failure_policy,
            face_aggregation=face_aggregation,
            classes=classes,
        )
        for dataset, subset in dict.fromkeys(key[:2] for key in samples):
            under = {key[2]: part for key, part in samples.items() if key[:2] == (dataset, subset)}
            others = [c for c in origins if c in under and c != CLEAN]
            if CLEAN not in under or not others:
                continue
            where = f"{dataset}/{subset}"
            for condition in others:
                _same_samples(under[CLEAN], under[condition], f"{condition} of {where}")
            bootstrap = _PairedBootstrap(
                name, under[CLEAN], rules, resamples, seed_from(where, "paired bootstrap", seed)
            )
            chosen = {condition: under[condition] for condition in others}
            found.append(_summary(name, bootstrap, (dataset, subset), under[CLEAN], chosen, origins))
    return found


@dataclass(frozen=True, eq=False)
class _ConditionValue:
    """A metric under one condition: its value, and the resampled values if there is an interval."""

    value: float
    drawn: Resampled | None

    def ends(self) -> tuple[float | None, float | None]:
        if self.drawn is None:
            return None, None
        interval = percentile_interval(self.drawn)
        return interval.low, interval.high

    def __sub__(self, other: _ConditionValue) -> _ConditionValue:
        paired = None if self.drawn is None or other.drawn is None else self.drawn - other.drawn
        return _ConditionValue(self.value - other.value, paired)


def _mean(numbers: Sequence[_ConditionValue]) -> _ConditionValue:
    drawn = [n.drawn for n in numbers if n.drawn is not None]
    return _ConditionValue(float(np.mean([n.value for n in numbers])), np.mean(drawn, axis=0) if drawn else None)


class _PairedBootstrap:
    """Computes one metric under every condition with the same bootstrap draws."""

    def __init__(
        self, name: MetricName, baseline: MetricSamples, rules: MetricRules, resamples: int, seed: int
    ) -> None:
        self._definition = name.definition
        self._threshold = rules.decision(name)
        self._classes = rules.classes or BINARY
        self.note: str | None = NO_RESAMPLES
        if resamples:
            self.note = no_difference_interval(self._definition, baseline)
        drawing = self.note is None
        self._draws = draw_groups(baseline.labels, baseline.groups, resamples, seed) if drawing else None

    def measure(self, samples: MetricSamples) -> _ConditionValue | None:
        """Compute the metric; None if it is undefined, which then holds for every condition."""
        try:
            value = estimate(self._definition, samples, self._threshold, self._classes)
        except UndefinedMetric:
            return None
        drawn = None
        if self._draws is not None:
            drawn = resample(self._definition, samples, self._draws, self._threshold, self._classes)
        return _ConditionValue(value, drawn)


def _summary(
    name: MetricName,
    bootstrap: _PairedBootstrap,
    data: tuple[str, str],
    baseline: MetricSamples,
    under: Mapping[str, MetricSamples],
    origins: ConditionOrigins,
) -> Robustness:
    clean = bootstrap.measure(baseline)
    numbers = {condition: bootstrap.measure(samples) for condition, samples in under.items()}
    found: dict[str, Any] = {
        "name": str(name),
        "dataset": data[0],
        "subset": data[1],
        "value": clean.value if clean else None,
        "cells": tuple(_drop(condition, origins[condition], clean, number) for condition, number in numbers.items()),
        "interval_note": bootstrap.note,
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
        drop = clean - mean
        found |= {"mean": mean.value, "drop": drop.value}
        found["mean_low"], found["mean_high"] = mean.ends()
        found["drop_low"], found["drop_high"] = drop.ends()
        values = {condition: number.value for condition, number in numbers.items() if number is not None}
        found["worst"] = min(values, key=lambda condition: values[condition])
    return Robustness(**found)


def _drop(
    condition: str, origin: ConditionOrigin, clean: _ConditionValue | None, number: _ConditionValue | None
) -> ConditionDrop:
    plain = ConditionDrop(condition=condition, family=origin.family, severity=origin.severity, value=None)
    if clean is None or number is None:
        return plain
    drop = clean - number
    low, high = drop.ends()
    return plain.model_copy(update={"value": number.value, "drop": drop.value, "low": low, "high": high})


def _same_samples(one: MetricSamples, other: MetricSamples, what: str) -> None:
    same = len(one.labels) == len(other.labels) and (one.labels == other.labels).all()
    if not same or not (one.groups == other.groups).all():
        raise DataError(f"{what} was evaluated on other samples than {CLEAN}", "rerun the evaluation: dfbench evaluate")
