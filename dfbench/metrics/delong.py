"""DeLong's variance of an AUC and test of two correlated AUCs (DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988).

:func:`delong` and :func:`delong_test` assume independent samples: use them with one score per video, never with frames.
:func:`auc_influence` is the part that holds for any samples. Its sums over groups of dependent samples give the
variance for clustered data (Obuchowski, Biometrics 53, 1997), see :mod:`dfbench.metrics.t_intervals`. Placement values
come from mid-ranks in O(n log n) (Sun and Xu, IEEE Signal Processing Letters 21, 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.validation import Labels, Scores, check, require_both

_Z = 1.959963984540054  # 97.5 % of a normal distribution


@dataclass(frozen=True)
class Delong:
    """An AUC with its standard error.

    Attributes:
        value: the AUC.
        error: its standard error.
        low: lower end of the 95 % interval, not below 0.
        high: upper end, not above 1.
    """

    value: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class DelongTest:
    """Two AUCs of the same samples.

    Attributes:
        difference: first minus second.
        error: standard error of the difference.
        z: difference divided by its error; 0 where both are 0, infinite where only the error is 0.
        p: two-sided p-value.
    """

    difference: float
    error: float
    z: float
    p: float


def delong(labels: ArrayLike, scores: ArrayLike) -> Delong:
    """Compute the AUC of independent samples with DeLong's standard error and 95 % interval.

    Args:
        labels: (N,) 0 real, 1 fake, one per video.
        scores: (N,) P(fake) in [0,1].

    Raises:
        UndefinedMetric: fewer than two samples of a class.

    >>> found = delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found.value, round(found.error, 4)
    (0.75, 0.3536)
    """
    y, s = check(labels, scores)
    value, fakes, reals = _placements(y, s)
    error = math.sqrt(_variance(fakes, reals))
    return Delong(value, error, max(0.0, value - _Z * error), min(1.0, value + _Z * error))


def delong_test(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> DelongTest:
    """Test whether two detectors have different AUCs on the same videos.

    Args:
        labels: (N,) 0 real, 1 fake, one per video.
        first: (N,) P(fake) of the first detector.
        second: (N,) P(fake) of the second detector.

    Raises:
        DataError: the lengths differ, or a value is invalid.
        UndefinedMetric: fewer than two samples of a class.
    """
    y, a = check(labels, first)
    _, b = check(labels, second)
    if len(a) != len(b):
        raise DataError(f"the detectors have different numbers of scores: {len(a)} and {len(b)}")
    value_a, fakes_a, reals_a = _placements(y, a)
    value_b, fakes_b, reals_b = _placements(y, b)
    difference = value_a - value_b
    error = math.sqrt(_variance(fakes_a - fakes_b, reals_a - reals_b))
    z = difference / error if error else math.copysign(math.inf, difference) if difference else 0.0
    return DelongTest(difference, error, z, math.erfc(abs(z) / math.sqrt(2)))


def auc_influence(labels: Labels, scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the AUC and the influence of every sample on it.

    Args:
        labels: (N,) 0 real, 1 fake; both occur.
        scores: (..., N) P(fake), one or many sets of scores of the same samples.

    Returns:
        The AUC (...,), and (..., N) deviations of the placement values, divided by the number of samples of the class:
        ``(V10 - AUC) / m`` of a fake, ``(V01 - AUC) / n`` of a real. They sum to zero.
    """
    below = _placement_values(labels, scores)
    fake = labels == 1
    value = np.asarray(below[..., fake].mean(axis=-1))
    return value, (below - value[..., None]) / np.where(fake, fake.sum(), (~fake).sum())


def _placement_values(labels: Labels, scores: Scores) -> NDArray[np.float64]:
    """(..., N): of a fake the fraction of reals below it, of a real the fraction of fakes above it; ties: one half."""
    order = np.argsort(scores, axis=-1)
    ordered = np.take_along_axis(scores, order, axis=-1)
    fake = np.asarray(labels[order], np.int64)
    changes = ordered[..., 1:] != ordered[..., :-1]
    fakes = _twice_below(fake, changes)
    ranks = np.arange(scores.shape[-1])
    every = 2 * ranks + 1 if changes.all() else _twice_below(np.ones_like(fake), changes)
    m, n = int(labels.sum(dtype=np.int64)), int((labels == 0).sum())
    values = np.empty(scores.shape)
    placed = np.where(fake == 1, (every - fakes) / (2 * n), 1 - fakes / (2 * m))
    np.put_along_axis(values, order, placed, axis=-1)
    return values


def _twice_below(counted: NDArray[np.int64], changes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(..., N) twice the counted samples below each sample in ascending order, plus those tied with it."""
    upto = np.cumsum(counted, axis=-1)
    before = upto - counted
    if changes.all():
        return before + upto
    last = counted.shape[-1] - 1
    ranks = np.broadcast_to(np.arange(last + 1), counted.shape)
    ends = np.ones((*counted.shape[:-1], 1), bool)
    starts = np.maximum.accumulate(np.where(np.concatenate((ends, changes), axis=-1), ranks, 0), axis=-1)
    stops = np.where(np.concatenate((changes, ends), axis=-1), ranks, last)[..., ::-1]
    stops = np.minimum.accumulate(stops, axis=-1)[..., ::-1]
    return np.take_along_axis(before, starts, axis=-1) + np.take_along_axis(upto, stops, axis=-1)


def _placements(labels: Labels, scores: Scores) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """AUC; per fake the fraction of reals below it, per real the fraction of fakes above it (ties: one half)."""
    require_both(labels)
    m, n = int(np.sum(labels == 1)), int(np.sum(labels == 0))
    if min(m, n) < 2:
        raise UndefinedMetric(f"{m} fake and {n} real samples; the variance needs two of each")
    values = _placement_values(labels, scores)
    below = values[labels == 1]
    return float(below.mean()), below, values[labels == 0]


def _variance(fakes: NDArray[np.float64], reals: NDArray[np.float64]) -> float:
    return float(fakes.var(ddof=1) / len(fakes) + reals.var(ddof=1) / len(reals))
