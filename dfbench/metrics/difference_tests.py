"""Whether two detectors differ: the spread of a paired difference, its interval and its p-value.

Differences are taken on the same samples, so that what both detectors have in common cancels out. The variance is that
of the influences of independent units on the difference, by the methods of :mod:`dfbench.metrics.metric_intervals`; the
interval and the p-value are those of a t test, so that the interval excludes zero where p is below 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from dfbench.metrics.bootstrap import LEVEL, MIN_GROUPS, resample
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.definitions import MetricDefinition
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.metric_intervals import (
    SMALLEST,
    DrawUnits,
    Spread,
    influence_spread,
    no_difference_interval,
    resampled_spread,
    spread_over_clusters,
)
from dfbench.metrics.p_values import t_test
from dfbench.metrics.roc import auc_of
from dfbench.metrics.samples import MetricSamples


@dataclass(frozen=True)
class AssessedDifference:
    """Interval and p-value of a difference.

    Attributes:
        low: lower end of the interval.
        high: upper end.
        p: two-sided p-value of no difference.
    """

    low: float
    high: float
    p: float


def no_test_reason(definition: MetricDefinition, samples: MetricSamples) -> str | None:
    """Return why differences on these samples are not tested, or None if they are."""
    if samples.people is not None and samples.people.fewest < MIN_GROUPS:
        return f"{samples.people.fewest} people; at least {MIN_GROUPS} are needed"
    return no_difference_interval(definition, samples)


def difference_spread(
    definition: MetricDefinition,
    first: Sequence[MetricSamples],
    second: Sequence[MetricSamples],
    draw: DrawUnits,
    threshold: float = 0.5,
    classes: Sequence[str] = BINARY,
) -> Spread:
    """Compute the spread of the difference of a metric between two detectors on the same samples.

    Units are those of :func:`metric_interval`: scene groups, or people where they recur.

    Args:
        definition: the metric.
        first: samples of the first detector; several runs of it are averaged.
        second: the same samples with the scores of the second detector.
        draw: makes the resamples, the same for all; it is not called for the AUC.
        threshold: decision threshold, where the metric has one.
        classes: class names of a multi-class task.
    """
    shared = first[0]

    def over(units: NDArray[np.intp], least: float) -> Spread:
        if definition.ranked is auc_of:
            ours, theirs = (
                np.mean([auc_influence(one.labels, one.scores)[1] for one in of], axis=0) for of in (first, second)
            )
            return influence_spread(ours - theirs, units, least)
        draws = draw(shared.labels, units)
        ours, theirs = (
            np.mean([resample(definition, replace(s, groups=units), draws, threshold, classes) for s in of], axis=0)
            for of in (first, second)
        )
        return resampled_spread(ours - theirs, draws, least)

    return spread_over_clusters(shared, over)


def assess_difference(
    difference: float, spread: Spread, units: int, bounds: tuple[float, float] = (0.0, 1.0), level: float = LEVEL
) -> AssessedDifference:
    """Compute the interval and the p-value of a difference by a t test.

    Args:
        difference: first minus second.
        spread: its variance and degrees of freedom.
        units: number of independent units.
        bounds: lowest and highest value of the metric, which limit the interval of the difference.
        level: coverage of the interval, between 0 and 1.

    >>> found = assess_difference(0.2, Spread(0.01, 19), 20)
    >>> round(found.low, 3), round(found.high, 3), round(found.p, 3)
    (-0.009, 0.409, 0.06)
    """
    error = math.sqrt(spread.variance) if spread.variance >= SMALLEST else 0.0
    half, most = float(stdtrit(spread.df, (1 + level) / 2)) * error, bounds[1] - bounds[0]
    p = t_test(difference, error, spread.df, units)
    return AssessedDifference(max(difference - half, -most), min(difference + half, most), p)
