"""Tests of two detectors on the same samples, and the correction for making many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dfbench.errors import DataError
from dfbench.metrics.roc import Values


def bootstrap_p(differences: Values) -> float:
    """Two-sided p-value of no difference, from the differences of paired resamples.

    Twice the smaller share of resamples on one side of zero, those at zero on both; the estimate itself counts as one
    resample more, so that p is never 0 (Davison and Hinkley 1997, chapter 4).

    >>> bootstrap_p(np.array([0.1] * 99))
    0.02
    >>> bootstrap_p(np.zeros(99))
    1.0
    """
    count = len(differences) + 1
    side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)) + 1
    return float(min(1.0, 2 * side / count))


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> float:
    """Exact two-sided McNemar test: p-value that two detectors are right equally often, on independent samples.

    Args:
        first_right: (N,) whether the first detector is right on each sample.
        second_right: (N,) the same of the second.

    Raises:
        DataError: the lengths differ.

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])
    0.0625
    """
    a, b = np.asarray(first_right, bool), np.asarray(second_right, bool)
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(f"decisions of shape {a.shape} do not fit those of shape {b.shape}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979), in the order given.

    Comparing each with 0.05 keeps the chance of a single false finding among them all below 5 %.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
