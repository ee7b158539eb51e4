"""P-values of differences between detectors: bootstrap and its tail, t test, McNemar, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from dfbench.errors import DataError
from dfbench.metrics.roc import Values

_DRAWS_PER_TEST = 400  # 20 / 0.05: twenty times as fine as the smallest level that Holm compares with
_MOST_DRAWS = 5_000


def family_draws(resamples: int, tests: int) -> int:
    """Return the number of resamples for a family of tests: 20 m / 0.05, between ``resamples`` and 5,000.

    With B resamples no p-value is below 2 / (B + 1), and Holm's correction multiplies the smallest of m by m.

    >>> family_draws(2000, 1), family_draws(2000, 12), family_draws(2000, 300), family_draws(0, 12)
    (2000, 4800, 5000, 0)
    """
    return max(resamples, min(tests * _DRAWS_PER_TEST, _MOST_DRAWS)) if resamples else 0


def resolution_of(resamples: int) -> float:
    """Return the smallest value of :func:`bootstrap_p`.

    >>> resolution_of(1999)
    0.001
    """
    return 2 / (resamples + 1)


def tail_p(difference: float, differences: Values, groups: int) -> float:
    """Extrapolate the p-value of no difference below the resolution of the resamples.

    The standard deviation of the resampled differences is the standard error of the difference; the difference divided
    by it follows a t distribution with G - 1 degrees of freedom. The result is not below ``2^(1 - G)``: where neither
    detector is better, all G groups favour the same one with this probability.

    Args:
        difference: the difference itself.
        differences: (B,) its values on the resamples.
        groups: number of scene groups G.

    Returns:
        The p-value, at most ``resolution_of(B)``.

    >>> rng = np.random.default_rng(0)
    >>> f"{tail_p(0.4, rng.normal(0.4, 0.05, 2000), 70):.0e}"
    '2e-11'
    """
    error = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    p = t_test(difference, error, groups - 1) if error else 0.0
    return min(resolution_of(len(differences)), max(p, 2.0 ** (1 - groups)))


def t_test(difference: float, error: float, df: float) -> float:
    """Return the two-sided p-value of a difference with a standard error that has ``df`` degrees of freedom.

    >>> round(t_test(0.2, 0.1, 19), 3)
    0.06
    """
    return float(2 * stdtr(df, -abs(difference) / error))


def bootstrap_p(differences: Values) -> float:
    """Compute the two-sided p-value of no difference from the differences of paired resamples.

    Twice the smaller fraction of resamples on one side of zero, those at zero counting on both sides; the estimate
    itself counts as one more resample, so that p is never 0 (Davison and Hinkley 1997, chapter 4).

    >>> bootstrap_p(np.array([0.1] * 99))
    0.02
    >>> bootstrap_p(np.zeros(99))
    1.0
    """
    count = len(differences) + 1
    side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)) + 1
    return float(min(1.0, 2 * side / count))


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> float:
    """Compute the p-value of the exact two-sided McNemar test on independent samples.

    Args:
        first_right: (N,) whether the first detector is correct on each sample.
        second_right: (N,) whether the second detector is correct.

    Raises:
        DataError: the lengths differ.

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    0.0625
    """
    a, b = np.asarray(first_right, bool), np.asarray(second_right, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"first_right and second_right have different shapes: {a.shape} and {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Apply Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979), keeping the order.

    Comparing each corrected value with 0.05 keeps the probability of any false positive among them below 5 %.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
