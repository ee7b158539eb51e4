"""What degradations do to a metric: the drop of every condition, the mean over families, the worst condition.

Every condition is judged on the same samples, so the bootstrap is paired: one resample draws the same scene groups
under all of them, and the interval of a drop is that of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.bootstrap import draw_groups, estimate, percentile_interval, refusal, resample
from dfbench.metrics.compute import Rules, samples_by_cell
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.metrics.samples import Samples
from dfbench.schema.ids import seed_from
from dfbench.schema.result import ConditionDrop, FamilyMean, Robustness

CLEAN = "clean"

Resampled = NDArray[np.float64]


@dataclass(frozen=True)
class Origin:
    """Where a condition comes from: its family, and its severity from 1 to 5 where it is a standard one."""

    family: str
    severity: int | None = None


Origins = Mapping[str, Origin]


def robustness(
    scores: pa.Table,
    names: Sequence[str],
    origins: Origins,
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    failure_policy: str = "exclude",
    faces: str | None = None,
    classes: Sequence[str] = (),
) -> list[Robustness]:
    """One summary for every data set x subset x metric that has scores under the baseline and another condition.

    Args:
        scores: a table of :data:`dfbench.schema.scores.SCORES`, of one model and one run.
        names: metric names; of each, larger must be better.
        origins: condition -> where it comes from; conditions that are not named here do not take part.
        threshold: decision threshold.
        resamples: of the paired bootstrap over scene groups; 0: no intervals.
        seed: of the bootstrap.
        failure_policy: as in :func:`dfbench.metrics.compute.compute_metrics`.
        faces: likewise.
        classes: likewise.

    Raises:
        DataError: the table breaks its contract, or a condition was evaluated on other samples than the baseline.
        UsageError: an unknown metric name or failure policy.
    """
    rules = Rules(threshold, failure_policy, faces, tuple(classes))
    found: list[Robustness] = []
    for name in map(parse_metric, names):
        cells = samples_by_cell(
            scores,
            str(name),
            threshold=threshold,
            failure_policy=failure_policy,
            faces=faces,
            classes=classes,
        )
        for dataset, subset in dict.fromkeys(place[:2] for place in cells):
            under = {place[2]: samples for place, samples in cells.items() if place[:2] == (dataset, subset)}
            others = [c for c in origins if c in under and c != CLEAN]
            if CLEAN not in under or not others:
                continue
            where = f"{dataset}/{subset}"
            for condition in others:
                _same_samples(under[CLEAN], under[condition], f"{condition} of {where}")
            judge = _Judge(name, under[CLEAN], rules, resamples, seed_from(where, "paired bootstrap", seed))
            chosen = {condition: under[condition] for condition in others}
            found.append(_summary(name, judge, (dataset, subset), under[CLEAN], chosen, origins))
    return found


@dataclass(frozen=True, eq=False)
class _Number:
    """A metric under one condition: its value, and the resampled ones where there is an interval."""

    value: float
    drawn: Resampled | None

    def ends(self) -> tuple[float | None, float | None]:
        if self.drawn is None:
            return None, None
        interval = percentile_interval(self.drawn)
        return interval.low, interval.high

    def __sub__(self, other: _Number) -> _Number:
        paired = None if self.drawn is None or other.drawn is None else self.drawn - other.drawn
        return _Number(self.value - other.value, paired)


def _mean(numbers: Sequence[_Number]) -> _Number:
    drawn = [n.drawn for n in numbers if n.drawn is not None]
    return _Number(float(np.mean([n.value for n in numbers])), np.mean(drawn, axis=0) if drawn else None)


class _Judge:
    """Measures one metric; all conditions meet the same draws."""

    def __init__(self, name: MetricName, baseline: Samples, rules: Rules, resamples: int, seed: int) -> None:
        self._kind = name.kind
        self._threshold = rules.decision(name)
        self._classes = rules.classes or BINARY
        self.note: str | None = "no resamples were asked for"
        if resamples:
            self.note = refusal(baseline.labels, baseline.groups, self._kind.both)
        drawing = self.note is None
        self._draws = draw_groups(baseline.labels, baseline.groups, resamples, seed) if drawing else None

    def measure(self, samples: Samples) -> _Number | None:
        """The metric; None where it is undefined, which it then is under every condition."""
        try:
            value = estimate(self._kind, samples, self._threshold, self._classes)
        except UndefinedMetric:
            return None
        drawn = None
        if self._draws is not None:
            drawn = resample(self._kind, samples, self._draws, self._threshold, self._classes)
        return _Number(value, drawn)


def _summary(
    name: MetricName,
    judge: _Judge,
    place: tuple[str, str],
    baseline: Samples,
    under: Mapping[str, Samples],
    origins: Origins,
) -> Robustness:
    clean = judge.measure(baseline)
    numbers = {condition: judge.measure(samples) for condition, samples in under.items()}
    found: dict[str, Any] = {
        "name": str(name),
        "dataset": place[0],
        "subset": place[1],
        "value": clean.value if clean else None,
        "cells": tuple(_cell(condition, origins[condition], clean, number) for condition, number in numbers.items()),
        "interval_note": judge.note,
    }
    members: dict[str, list[_Number]] = {}
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


def _cell(condition: str, origin: Origin, clean: _Number | None, number: _Number | None) -> ConditionDrop:
    plain = ConditionDrop(condition=condition, family=origin.family, severity=origin.severity, value=None)
    if clean is None or number is None:
        return plain
    drop = clean - number
    low, high = drop.ends()
    return plain.model_copy(update={"value": number.value, "drop": drop.value, "low": low, "high": high})


def _same_samples(one: Samples, other: Samples, what: str) -> None:
    same = len(one.labels) == len(other.labels) and (one.labels == other.labels).all()
    if not same or not (one.groups == other.groups).all():
        raise DataError(f"{what} was scored on other samples than {CLEAN}", "evaluate again: dfbench evaluate")
