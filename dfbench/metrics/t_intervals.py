"""Confidence intervals from the sums of influences over groups: variance, degrees of freedom, scale, exact bounds.

Samples of one group depend on each other; groups do not. The influence of a group is the sum of those of its samples,
and ``G / (G - 1)`` times the sum of squares estimates the variance of the metric (Obuchowski, Biometrics 53, 1997).

For a good detector a few groups carry most of the variance, and G - 1 degrees of freedom are then too many. Groups
with equal influences would be ``(sum u^2)^2 / sum u^4`` in number; this many degrees of freedom are used, as in
Satterthwaite's approximation (Biometrics Bulletin 2, 1946), but not fewer than :data:`LEAST_DF`, below which intervals
cover too often. Intervals are symmetric on the logit scale, so that they stay inside the metric's range.

Every function also takes many sets of numbers at once, which the simulation in ``benchmarks/intervals.py`` uses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from dfbench.metrics.roc import Values

LEAST_DF = 7.0
LEAST_DF_OF_PEOPLE = 5.0
"""Lower limits of the degrees of freedom of scene groups and of people, chosen by simulation."""

Groups = NDArray[np.intp]


def group_sums(influence: Values, groups: Groups) -> Values:
    """Sum over the samples of each group.

    Args:
        influence: (..., N) influence of each sample.
        groups: (N,) group number of each sample, 0 to G - 1, each of which occurs.

    Returns:
        (..., G) float64.
    """
    if influence.ndim == 1:
        return np.asarray(np.bincount(groups, weights=influence), np.float64)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.asarray(np.add.reduceat(influence[..., order], starts, axis=-1), np.float64)


def cluster_variance(sums: Values) -> Values:
    """Estimate the variance of a metric from the influences of independent groups; (...,) from (..., G).

    >>> float(cluster_variance(np.array([0.5, -0.5])))
    1.0
    """
    n = sums.shape[-1]
    return np.asarray(n / (n - 1) * np.sum(sums**2, axis=-1), np.float64)


def effective_df(squares: Values, fourths: Values, most: float, least: float = LEAST_DF) -> Values:
    """Degrees of freedom of a sum of squares that few terms may dominate.

    Args:
        squares: (...,) sum of the squared influences.
        fourths: (...,) sum of their fourth powers.
        most: upper limit, the number of groups minus one.
        least: lower limit, where ``most`` allows it.

    Returns:
        (...,) float64.

    >>> [float(effective_df(np.array(k), np.array(k), most)) for k, most in ((3.0, 19), (10.0, 19), (30.0, 4))]
    [7.0, 10.0, 4.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(fourths > 0, squares**2 / fourths, most)
    return np.asarray(np.minimum(np.maximum(found, least), most), np.float64)


def t_interval(
    value: Values, variance: Values, df: Values, bounds: tuple[float, float], level: float
) -> tuple[Values, Values]:
    """Compute a two-sided t interval on a scale without ends.

    Args:
        value: (...,) the metric, strictly between its bounds.
        variance: (...,) its variance.
        df: (...,) degrees of freedom.
        bounds: lowest and highest value of the metric: logit scale. With an infinite upper bound: logarithmic scale.
        level: coverage, between 0 and 1.

    Returns:
        Lower and upper ends, (...,) each.

    >>> [round(float(end), 3) for end in t_interval(np.array(0.9), np.array(0.0025), np.array(19.0), (0, 1), 0.95)]
    [0.738, 0.966]
    """
    lowest, highest = bounds
    half = stdtrit(df, (1 + level) / 2) * np.sqrt(variance)
    if np.isinf(highest):
        ratio = np.exp(half / (value - lowest))
        return lowest + (value - lowest) / ratio, lowest + (value - lowest) * ratio
    width = highest - lowest
    share = (value - lowest) / width
    half = half / (width * share * (1 - share))
    centre = logit(share)
    return lowest + width * expit(centre - half), lowest + width * expit(centre + half)


def exact_bound(groups: int, level: float) -> float:
    """Lower bound of a probability after only successes in independent groups.

    The lower end of the interval of Clopper and Pearson (Biometrika 26, 1934): with a smaller probability, only
    successes would have a probability below ``(1 - level) / 2``.

    >>> round(exact_bound(20, 0.95), 3)
    0.832
    """
    return float(((1 - level) / 2) ** (1 / groups))
