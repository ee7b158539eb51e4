"""P-values of differences between detectors: t test, McNemar's test, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from dfbench.errors import DataError


def t_test(difference: float, error: float, df: float, units: int) -> float:
    """Compute the two-sided p-value of no difference.

    The difference divided by its standard error follows a t distribution. The p-value is not below ``2^(1 - units)``:
    if neither detector is better, all independent units favour the same one with this probability.

    Args:
        difference: first minus second.
        error: its standard error.
        df: degrees of freedom of the error.
        units: number of independent units: scene groups, or people.

    >>> round(t_test(0.2, 0.1, 19, 20), 3), t_test(0.5, 0.0, 19, 20) == 2**-19, t_test(0.0, 0.0, 19, 20)
    (0.06, True, 1.0)
    """
    if error == 0 and difference == 0:
        return 1.0
    p = float(2 * stdtr(df, -abs(difference) / error)) if error else 0.0
    return max(p, 2.0 ** (1 - units))


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
