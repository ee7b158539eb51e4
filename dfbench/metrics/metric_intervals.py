"""The confidence interval of a metric: which method applies, and why there is none where none covers.

- AUC: clustered DeLong. The influences of the samples are summed over scene groups (Obuchowski, Biometrics 53, 1997).
- Other metrics: the variance over resamples of whole scene groups. The influence of a group is the covariance of the
  resampled metric and the number of times that the group was drawn (Efron, JASA 109, 2014).
- Both: t quantile with the degrees of freedom that the groups' influences have, on the scale of
  :func:`dfbench.metrics.t_intervals.t_interval`.
- At the end of its range a metric has no variance: one-sided bound of Clopper and Pearson.
- Where people recur in several scene groups, the variance is two-way: over target people, plus over source people,
  minus over their pairs (Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 29, 2011).

The limits in :data:`LEAST_GROUPS` and in :class:`~dfbench.metrics.definitions.MetricDefinition` come from the coverage
that ``benchmarks/intervals.py`` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics.bootstrap import (
    LEVEL,
    MIN_GROUPS_OF_A_CLASS,
    Draws,
    Interval,
    no_interval_reason,
    resample,
)
from dfbench.metrics.confusion import BINARY
from dfbench.metrics.definitions import MetricDefinition
from dfbench.metrics.delong import auc_influence
from dfbench.metrics.roc import Values, auc_of
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.t_intervals import (
    LEAST_DF,
    LEAST_DF_OF_PEOPLE,
    cluster_variance,
    effective_df,
    exact_bound,
    group_sums,
    t_interval,
)
from dfbench.metrics.validation import Labels

CLUSTERED_DELONG = "clustered-delong"
BOOTSTRAP_T = "bootstrap-t"
ONE_SIDED = "one-sided"
"""Names of the methods, in ``interval_method`` of a result."""

PEOPLE_UNKNOWN = "actors recur in several scene groups and are not named: the interval is narrower than it should be"
_NO_VARIANCE = "every scene group gives the same value, from which no interval can be computed"
SMALLEST = 1e-20
"""Variance below which only rounding is left."""

DrawUnits = Callable[[Labels, NDArray[np.intp]], Draws]
"""Labels and unit of each sample -> multiplicities of the units, see :func:`~dfbench.metrics.bootstrap.draw_groups`."""


@dataclass(frozen=True)
class Spread:
    """How far a metric varies between samples of independent units.

    Attributes:
        variance: variance of the metric.
        df: degrees of freedom of that variance.
    """

    variance: float
    df: float


SpreadOver = Callable[[NDArray[np.intp], float], Spread]
"""Unit of each sample and lower limit of the degrees of freedom -> the spread over these units."""


def metric_interval(
    definition: MetricDefinition,
    samples: MetricSamples,
    value: float,
    draw: DrawUnits,
    *,
    threshold: float = 0.5,
    classes: Sequence[str] = BINARY,
    level: float = LEVEL,
) -> Interval:
    """Compute the confidence interval of a metric.

    Args:
        definition: the metric.
        samples: what it is computed on.
        value: the metric, see :func:`dfbench.metrics.bootstrap.estimate`.
        draw: makes the resamples; it is not called for the AUC.
        threshold: decision threshold, where the metric has one.
        classes: class names of a multi-class task.
        level: coverage, between 0 and 1.

    Returns:
        The interval with its method, or None for both ends and the reason.
    """

    def over(units: NDArray[np.intp], least: float) -> Spread:
        return spread_of(definition, samples, units, draw, threshold, classes, least)

    return interval_over(definition, samples, value, over, classes, level)


def interval_over(
    definition: MetricDefinition,
    samples: MetricSamples,
    value: float,
    over: SpreadOver,
    classes: Sequence[str] = BINARY,
    level: float = LEVEL,
) -> Interval:
    """Compute the confidence interval of a metric, or of a mean of it over conditions, from its spread.

    Args:
        definition: the metric.
        samples: what it is computed on.
        value: the metric or the mean.
        over: computes the spread over one kind of units; called only where it is needed.
        classes: class names of a multi-class task.
        level: coverage, between 0 and 1.
    """
    reason = no_metric_interval(definition, samples, classes)
    if reason is not None:
        return Interval(None, None, reason)
    note = PEOPLE_UNKNOWN if samples.people_unknown else None
    lowest, highest = definition.bounds
    if value in definition.bounds:
        return _one_sided(definition, samples, value, classes, level)
    if not lowest < value < highest:
        return Interval(None, None, f"the value is outside the range of the metric, {lowest:g} to {highest:g}")
    spread = spread_over_clusters(samples, over)
    if spread.variance < SMALLEST:
        return Interval(None, None, _NO_VARIANCE)
    ends = t_interval(np.array(value), np.array(spread.variance), np.array(spread.df), definition.bounds, level)
    return Interval(float(ends[0]), float(ends[1]), note, method_of(definition))


def method_of(definition: MetricDefinition) -> str:
    """Return the name of the method for a value inside the metric's range."""
    return CLUSTERED_DELONG if definition.ranked is auc_of else BOOTSTRAP_T


def no_metric_interval(definition: MetricDefinition, samples: MetricSamples, classes: Sequence[str]) -> str | None:
    """Return why these samples give no interval of this metric, or None if they give one."""
    reason = definition.no_interval or _too_few_negatives(definition, samples)
    if reason:
        return reason
    n = len(np.unique(samples.groups))
    if n < definition.least_groups:
        return f"{n} scene groups; at least {definition.least_groups} are needed"
    if samples.people is not None and samples.people.fewest < definition.least_groups:
        return f"{samples.people.fewest} people; at least {definition.least_groups} are needed"
    for name, chosen in _classes_needed(definition, samples, classes).items():
        n = len(np.unique(samples.groups[chosen]))
        if n < MIN_GROUPS_OF_A_CLASS:
            return f"{name} samples in {n} scene groups; at least {MIN_GROUPS_OF_A_CLASS} are needed"
    return None


def no_difference_interval(definition: MetricDefinition, samples: MetricSamples) -> str | None:
    """Return why these samples give no interval and no test of a difference of this metric, or None if they do.

    A difference at a rate needs the negatives that an interval needs; differences of areas do not.
    """
    few = _too_few_negatives(definition, samples) if definition.least_media else None
    return few or no_interval_reason(samples.labels, samples.groups, definition.both)


def _too_few_negatives(definition: MetricDefinition, samples: MetricSamples) -> str | None:
    n = samples.n_media - samples.n_real_media if definition.real_positive else samples.n_real_media
    if n >= definition.interval_media:
        return None
    negative = "fake" if definition.real_positive else "real"
    return f"too few negatives: {n} {negative} media; at least {definition.interval_media} are needed"


def _classes_needed(
    definition: MetricDefinition, samples: MetricSamples, classes: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    """Which samples belong to each class that the metric needs."""
    if definition.of_class:
        names, truth = (BINARY, samples.labels) if samples.classes is None else (classes, samples.classes.truth)
        return {definition.of_class: np.asarray(truth == list(names).index(definition.of_class))}
    return {name: samples.labels == label for label, name in enumerate(BINARY)} if definition.both else {}


def _one_sided(
    definition: MetricDefinition, samples: MetricSamples, value: float, classes: Sequence[str], level: float
) -> Interval:
    """Bound of a metric at an end of its range, from the number of independent units that agree on it."""
    lowest, highest = definition.bounds
    if np.isinf(highest):
        return Interval(None, None, _NO_VARIANCE)
    needed = _classes_needed(definition, samples, classes).values()
    units = min((len(np.unique(samples.groups[chosen])) for chosen in needed), default=len(np.unique(samples.groups)))
    if samples.people is not None:
        units = min(units, samples.people.fewest)
    share = 1 - exact_bound(units, level)
    left, what = 1 - share, f"{units} {'people' if samples.people is not None else 'scene groups'}"
    best = highest if definition.higher_is_better else lowest
    if value == best and definition.after_errors is not None:
        left = definition.after_errors(share, samples.negatives_per_positive(definition.real_positive))
    note = f"one-sided: {'no error' if value == best else 'only errors'} in {what}"
    if value == highest:
        return Interval(highest - (highest - lowest) * (1 - left), highest, note, ONE_SIDED)
    return Interval(lowest, lowest + (highest - lowest) * (1 - left), note, ONE_SIDED)


def spread_of(
    definition: MetricDefinition,
    samples: MetricSamples,
    units: NDArray[np.intp],
    draw: DrawUnits,
    threshold: float = 0.5,
    classes: Sequence[str] = BINARY,
    least: float = LEAST_DF,
) -> Spread:
    """Compute the spread of a metric over one kind of units, each sample belonging to one of them."""
    if definition.ranked is auc_of:
        return influence_spread(auc_influence(samples.labels, samples.scores)[1], units, least)
    draws = draw(samples.labels, units)
    values = resample(definition, replace(samples, groups=units), draws, threshold, classes)
    return resampled_spread(values, draws, least)


def influence_spread(influence: Values, units: NDArray[np.intp], least: float = LEAST_DF) -> Spread:
    """Compute the variance of a metric and its degrees of freedom from influences.

    Args:
        influence: (N,) influence of each sample.
        units: (N,) unit that each sample belongs to, 0 to G - 1.
        least: lower limit of the degrees of freedom.
    """
    sums = group_sums(influence, units)
    df = effective_df(np.sum(sums**2, keepdims=True), np.sum(sums**4, keepdims=True), int(units.max()), least)[0]
    return Spread(float(cluster_variance(sums)), float(df))


def resampled_spread(values: Values, draws: Draws, least: float = LEAST_DF) -> Spread:
    """Compute the variance of a metric and its degrees of freedom from resamples.

    Args:
        values: (B,) the metric of each resample; NaN where it is undefined.
        draws: (B, G) how often each unit was drawn.
        least: lower limit of the degrees of freedom.
    """
    defined = ~np.isnan(values)
    values, counts = values[defined], draws[defined].astype(np.float64)
    n_draws, n_units = counts.shape
    variance = float(values.var(ddof=1))
    # The covariance of a unit's count with the values is its influence, plus an error of known variance.
    influence = (values - values.mean()) @ (counts - 1) / n_draws
    error = variance / n_draws
    squares = np.sum(influence**2) - n_units * error
    fourths = np.sum(influence**4) - 6 * squares * error - 3 * n_units * error**2
    df = effective_df(np.maximum(squares, 0), np.maximum(fourths, 0), n_units - 1, least)
    return Spread(variance * n_units / (n_units - 1), float(df))


def spread_over_clusters(samples: MetricSamples, over: SpreadOver) -> Spread:
    """Compute the spread over scene groups or, where people recur in several, the two-way one over people.

    Args:
        samples: of the metric.
        over: computes the spread over one kind of units.
    """
    people = samples.people
    if people is None:
        return over(samples.groups, LEAST_DF)
    targets, sources, pairs = (
        over(units, LEAST_DF_OF_PEOPLE) for units in (people.targets, people.sources, people.pairs)
    )
    variance = targets.variance + sources.variance - pairs.variance
    if variance <= 0:  # an estimate; the true one is positive
        variance = max(targets.variance, sources.variance)
    return Spread(variance, min(targets.df, sources.df, people.fewest - 1.0))
