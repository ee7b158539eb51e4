"""Confidence intervals and paired differences on plain arrays.

The functions use the methods of :mod:`dfbench.metrics.metric_intervals`: for the same samples, groups and seed they
return the numbers of :func:`dfbench.metrics.compute_metrics` and :func:`dfbench.metrics.paired_differences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.metrics.bootstrap import (
    NO_RESAMPLES,
    Draws,
    draw_groups,
    estimate,
)
from dfbench.metrics.definitions import MetricDefinition, metric_definition
from dfbench.metrics.difference_tests import assess_difference, difference_spread, no_test_reason
from dfbench.metrics.metric_intervals import metric_interval
from dfbench.metrics.names import list_metrics
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.validation import Labels, check, check_threshold

Groups = Sequence[object] | NDArray[np.generic]


@dataclass(frozen=True)
class IntervalEstimate:
    """A metric with its confidence interval.

    Formatting applies a format specification to the value and both ends; the default is three decimals.

    Attributes:
        value: the metric, a fraction (``logloss``: nats).
        low: lower end of the interval; None where there is none.
        high: upper end of the interval; None where there is none.
        n: number of samples: frames or videos.
        n_groups: number of independent groups the samples belong to.
        note: why there is no interval, or what limits it; None where there is nothing to say.
        method: ``clustered-delong``, ``bootstrap-t`` or ``one-sided``; empty where there is no interval.

    >>> print(IntervalEstimate(0.7612, 0.7021, 0.8153, n=700, n_groups=140))
    0.761 [0.702, 0.815]
    >>> f"{IntervalEstimate(0.7612, 0.7021, 0.8153, n=700, n_groups=140):.1%}"
    '76.1% [70.2%, 81.5%]'
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_groups: int
    note: str | None = None
    method: str = ""

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if self.low is None or self.high is None:
            return format(self.value, spec)
        return f"{format(self.value, spec)} [{format(self.low, spec)}, {format(self.high, spec)}]"

    def __str__(self) -> str:
        return format(self)


@dataclass(frozen=True)
class PairedDifference:
    """The difference of a metric between two detectors on the same samples.

    Attributes:
        first: the metric of the first detector.
        second: the metric of the second detector.
        value: first minus second.
        low: lower end of the interval of the difference; None where there is none.
        high: upper end; None where there is none.
        p: two-sided p-value of the paired t test; None where there is no interval.
        n: number of samples.
        n_groups: number of independent groups.
        note: why there is no interval, or what limits it; None where there is nothing to say.
    """

    first: float
    second: float
    value: float
    low: float | None
    high: float | None
    p: float | None
    n: int
    n_groups: int
    note: str | None = None

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:+.3f}"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def bootstrap_interval(
    metric: str,
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Groups | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    threshold: float = 0.5,
) -> IntervalEstimate:
    """Compute a metric with its confidence interval over groups.

    The AUC gets the clustered DeLong interval, every other metric one from a bootstrap of whole groups with a t
    quantile, and a metric at the end of its range a one-sided bound. The page on metrics has their measured coverage.

    Args:
        metric: a metric without level, see :func:`dfbench.metrics.list_metrics`: ``auc``, ``tpr@fpr=0.01``.
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        groups: (N,) names or numbers of the groups drawn as a whole, for example the scene group or the video of each
            frame; None: every sample is a group of its own.
        confidence: coverage of the interval, between 0 and 1.
        resamples: number of bootstrap resamples, which the AUC does not use; 0: no interval.
        seed: bootstrap seed.
        threshold: decision threshold of metrics that use decisions.

    Returns:
        The estimate. Its ends are None, and ``note`` gives the reason, with too few groups for an interval that covers,
        fewer than 5 groups of a class that the metric needs, or no variation between groups.

    Raises:
        UsageError: an unknown metric, or an argument out of range.
        DataError: lengths that differ, labels other than 0 and 1, scores that are NaN or outside [0,1].
        UndefinedMetric: the metric is undefined on these samples; ``tpr@fpr=X`` needs ``1 / X`` reals.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.tile([0, 1], 200)
    >>> scores = np.clip(0.4 * labels + rng.uniform(0, 0.6, 400), 0, 1)
    >>> print(bootstrap_interval("auc", labels, scores, groups=np.arange(400) // 4))
    0.931 [0.901, 0.952]
    """
    definition = _definition_of(metric)
    samples = _samples(labels, scores, groups)
    threshold = check_threshold(threshold)
    confidence = _check_confidence(confidence)
    _check_resamples(resamples)
    value = estimate(definition, samples, threshold)
    n, n_groups = len(samples.labels), int(samples.groups.max()) + 1
    if not resamples:
        return IntervalEstimate(value, None, None, n, n_groups, NO_RESAMPLES)

    def draw(labels: Labels, units: NDArray[np.intp]) -> Draws:
        return draw_groups(labels, units, resamples, seed)

    found = metric_interval(definition, samples, value, draw, threshold=threshold, level=confidence)
    return IntervalEstimate(value, found.low, found.high, n, n_groups, found.note, found.method)


def auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Groups | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> IntervalEstimate:
    """Compute the AUC with its clustered DeLong interval; see :func:`bootstrap_interval` for the arguments.

    No resamples are drawn: ``resamples`` and ``seed`` change nothing, except that 0 resamples give no interval.

    >>> print(auc_interval([0, 1] * 30, [0.1, 0.9] * 29 + [0.9, 0.1]))
    0.967 [0.839, 0.994]
    """
    return bootstrap_interval("auc", labels, scores, groups, confidence=confidence, resamples=resamples, seed=seed)


def paired_difference(
    metric: str,
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    groups: Groups | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    threshold: float = 0.5,
) -> PairedDifference:
    """Compare two detectors on the same samples by the paired t test over groups.

    Args:
        metric: a metric without level, see :func:`dfbench.metrics.list_metrics`.
        labels: (N,) 0 real, 1 fake.
        scores_a: (N,) P(fake) of the first detector.
        scores_b: (N,) P(fake) of the second detector.
        groups: as in :func:`bootstrap_interval`, also for the arguments below.
        confidence: coverage of the interval of the difference.
        resamples: number of bootstrap resamples, each the same for both detectors, for metrics other than the AUC;
            0: no interval.
        seed: bootstrap seed.
        threshold: decision threshold of metrics that use decisions.

    Returns:
        Both values, their difference, its interval and the two-sided p-value of no difference.

    Raises:
        UsageError, DataError, UndefinedMetric: as :func:`bootstrap_interval`.

    >>> labels = [0, 1] * 40
    >>> good, poor = [0.1, 0.9] * 40, [0.1, 0.9, 0.9, 0.1] * 20
    >>> print(paired_difference("acc", labels, good, poor))
    +0.500 [+0.390, +0.610]
    """
    definition = _definition_of(metric)
    first, second = _samples(labels, scores_a, groups), _samples(labels, scores_b, groups)
    threshold = check_threshold(threshold)
    confidence = _check_confidence(confidence)
    values = [estimate(definition, samples, threshold) for samples in (first, second)]
    n, n_groups = len(first.labels), int(first.groups.max()) + 1
    plain = PairedDifference(values[0], values[1], values[0] - values[1], None, None, None, n, n_groups)
    _check_resamples(resamples)
    reason = no_test_reason(definition, first) if resamples else NO_RESAMPLES
    if reason:
        return replace(plain, note=reason)

    def draw(labels: Labels, units: NDArray[np.intp]) -> Draws:
        return draw_groups(labels, units, resamples, seed)

    spread = difference_spread(definition, [first], [second], draw, threshold)
    tested = assess_difference(values[0] - values[1], spread, n_groups, definition.bounds, confidence)
    return replace(plain, low=tested.low, high=tested.high, p=tested.p)


def _definition_of(metric: str) -> MetricDefinition:
    try:
        return metric_definition(metric)
    except KeyError:
        raise unknown_name("metric", metric, list_metrics()) from None


def _samples(labels: ArrayLike, scores: ArrayLike, groups: Groups | None) -> MetricSamples:
    y, s = check(labels, scores)
    numbers = np.arange(len(y)) if groups is None else _group_numbers(groups, y)
    return MetricSamples(y, s, numbers, len(y), int(np.sum(y == 0)))


def _group_numbers(groups: Groups, labels: Labels) -> NDArray[np.intp]:
    array = np.asarray(groups)
    if array.ndim != 1:
        raise DataError(f"groups must be one-dimensional, but have shape {array.shape}")
    if len(array) != len(labels):
        raise DataError(f"labels and groups have different lengths: {len(labels)} and {len(array)}")
    if array.dtype.kind not in "biuUS":
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError("groups must not be NaN or infinite")
        if array.dtype.kind == "O" and any(item is None for item in array):
            raise DataError("groups must not be None")
        array = array.astype(str)
    return np.unique(array, return_inverse=True)[1]


def _check_confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must be between 0 and 1, but is {confidence!r}", "for example confidence=0.95")
    return confidence


def _check_resamples(resamples: int) -> None:
    if resamples < 0:
        raise UsageError(f"resamples must not be negative, but is {resamples!r}", "0 computes no interval")
