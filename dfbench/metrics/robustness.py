"""What degradations do to a metric: the drop of every condition, the mean over families, the worst condition.

Every condition is judged on the same samples, so the bootstrap is paired: one resample draws the same scene groups
under all of them, and the interval of a drop is that of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.compute import Samples, estimate, samples_by_cell
from dfbench.metrics.intervals import draw_groups, percentile_interval, refusal, resample
from dfbench.metrics.kinds import require_classes
from dfbench.metrics.names import MetricName, parse_metric
from dfbench.schema.ids import seed_from
from dfbench.schema.result import ConditionDrop, FamilyMean, Robustness

CLEAN = "clean"

Resampled = NDArray[np.float64]


@dataclass(frozen=True)
class Origin:
    """Where a condition comes from: its family, and its severity from 1 to 5 where it is a standard one."""

    family: str
    severity: int | None = None


def robustness(
    scores: pa.Table,
    names: Sequence[str],
    origins: Mapping[str, Origin],
    *,
    threshold: float = 0.5,
    resamples: int = 2000,
    seed: int = 0,
    failure_policy: str = "exclude",
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

    Raises:
        DataError: the table breaks its contract, or a condition was evaluated on other samples than the baseline.
        UsageError: an unknown metric name or failure policy.
    """
    found: list[Robustness] = []
    for name in map(parse_metric, names):
        cells = samples_by_cell(scores, str(name), threshold=threshold, failure_policy=failure_policy)
        for dataset, subset in dict.fromkeys(place[:2] for place in cells):
            under = {place[2]: samples for place, samples in cells.items() if place[:2] == (dataset, subset)}
            others = [c for c in origins if c in under and c != CLEAN]
            if CLEAN not in under or not others:
                continue
            where = f"{dataset}/{subset}"
            judge = _Judge(name, under[CLEAN], threshold, resamples, seed_from(where, "paired bootstrap", seed))
            for condition in others:
                _same_samples(under[CLEAN], under[condition], f"{condition} of {where}")
            found.append(_summary(judge, dataset, subset, {c: (origins[c], under[c]) for c in others}))
    return found


class _Judge:
    """Values and resampled values of one metric; all conditions meet the same draws."""

    def __init__(self, name: MetricName, baseline: Samples, threshold: float, resamples: int, seed: int) -> None:
        self.name = name
        self.baseline = baseline
        self._threshold = 0.5 if name.aggregation == "vote" else threshold
        self.note = "no resamples were asked for" if not resamples else None
        if self.note is None:
            self.note = refusal(baseline.labels, baseline.groups, name.kind.both)
        self._draws = None
        if self.note is None:
            self._draws = draw_groups(baseline.labels, baseline.groups, resamples, seed)

    def value(self, samples: Samples) -> float | None:
        try:
            require_classes(self.name.kind, samples.labels)
        except UndefinedMetric:
            return None
        return estimate(self.name.kind, samples, self._threshold)

    def resampled(self, samples: Samples) -> Resampled | None:
        if self._draws is None:
            return None
        return resample(self.name.kind, samples.labels, samples.scores, samples.groups, self._draws, self._threshold)


def _summary(judge: _Judge, dataset: str, subset: str, under: Mapping[str, tuple[Origin, Samples]]) -> Robustness:
    base = judge.value(judge.baseline)
    plain = Robustness(
        name=str(judge.name), dataset=dataset, subset=subset, value=base, cells=(), families=(),
        interval_note=judge.note,
    )  # fmt: skip
    if base is None:  # the same samples under every condition: undefined here, undefined there
        return plain.model_copy(
            update={
                "cells": tuple(
                    ConditionDrop(condition=c, family=o.family, severity=o.severity, value=None)
                    for c, (o, _) in under.items()
                )
            }
        )
    before = judge.resampled(judge.baseline)
    values: dict[str, float] = {}
    after: dict[str, Resampled] = {}
    cells = []
    for condition, (origin, samples) in under.items():
        value = judge.value(samples)
        assert value is not None
        values[condition] = value
        low = high = None
        drawn = judge.resampled(samples)
        if before is not None and drawn is not None:
            after[condition] = drawn
            low, high = _ends(before - drawn)
        cells.append(
            ConditionDrop(
                condition=condition, family=origin.family, severity=origin.severity, value=value,
                drop=base - value, low=low, high=high,
            )
        )  # fmt: skip
    members: dict[str, list[str]] = {}
    for condition, (origin, _) in under.items():
        members.setdefault(origin.family, []).append(condition)
    families = tuple(
        FamilyMean(family=f, value=float(np.mean([values[c] for c in own])), conditions=len(own))
        for f, own in members.items()
    )
    mean = float(np.mean([f.value for f in families]))
    fields = {"cells": tuple(cells), "families": families, "mean": mean, "drop": base - mean}
    if before is not None:
        drawn_mean = np.mean([np.mean([after[c] for c in own], axis=0) for own in members.values()], axis=0)
        fields["mean_low"], fields["mean_high"] = _ends(drawn_mean)
        fields["drop_low"], fields["drop_high"] = _ends(before - drawn_mean)
    return plain.model_copy(update=fields | {"worst": min(values, key=lambda c: values[c])})


def _ends(values: Resampled) -> tuple[float | None, float | None]:
    interval = percentile_interval(values)
    return interval.low, interval.high


def _same_samples(one: Samples, other: Samples, what: str) -> None:
    same = len(one.labels) == len(other.labels) and (one.labels == other.labels).all()
    if not same or not (one.groups == other.groups).all():
        raise DataError(f"{what} was scored on other samples than {CLEAN}", "evaluate again: dfbench evaluate")
