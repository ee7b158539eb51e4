"""DeLong's variance of an AUC and test of two correlated AUCs (DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988).

Samples are assumed to be independent, so use it with one score per video, never with frames. Placement values come from
mid-ranks in O(n log n) (Sun and Xu, IEEE Signal Processing Letters 21, 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

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


def _placements(labels: Labels, scores: Scores) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """AUC; per fake the fraction of reals below it, per real the fraction of fakes above it (ties: one half)."""
    require_both(labels)
    fakes, reals = scores[labels == 1], scores[labels == 0]
    m, n = len(fakes), len(reals)
    if min(m, n) < 2:
        raise UndefinedMetric(f"{m} fake and {n} real samples; the variance needs two of each")
    ranks = rankdata(np.concatenate((fakes, reals)))
    below = (ranks[:m] - rankdata(fakes)) / n
    above = 1 - (ranks[m:] - rankdata(reals)) / m
    return float(below.mean()), below, above


def _variance(fakes: NDArray[np.float64], reals: NDArray[np.float64]) -> float:
    return float(fakes.var(ddof=1) / len(fakes) + reals.var(ddof=1) / len(reals))
