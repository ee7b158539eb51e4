"""Means over frames that are determined by the exact mean alone: equal means give equal floating-point numbers.

A sum of rounded terms depends on their order and number, so that two videos whose frames have the same mean can get
scores that differ in the last digit; a tie of the ROC is then decided by rounding. Here the arithmetic mean is the
floating-point number nearest to the exact one. The mean of logits is irrational, and is computed with about 100
significant bits before it is rounded: pairs of floating-point numbers represent their sum (Dekker, Numerische
Mathematik 18, 1971).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SPLIT = 134217729.0  # 2^27 + 1: separates the leading 26 bits of a number


def exact_means(values: Floats, counts: Integers) -> Floats:
    """Compute the means of consecutive groups, each correctly rounded.

    Args:
        values: (N,) finite numbers, group by group.
        counts: (G,) sizes of the groups, at least 1; they sum to N.

    Returns:
        (G,) the floating-point numbers nearest to the exact means; a group of equal values has their value.

    >>> exact_means(np.array([0.1, 0.1, 0.1, 0.25, 0.5]), np.array([3, 2])).tolist()
    [0.1, 0.375]
    """
    means = np.empty(len(counts))
    every, end = values.tolist(), 0
    for group, count in enumerate(counts.tolist()):
        start, end = end, end + count
        means[group] = every[start] if count == 1 else _mean(every[start:end])
    return means


def _mean(values: list[float]) -> float:
    count = len(values)
    near = math.fsum(values) / count
    rest = math.fsum((*values, *[-near] * count)) / count
    if rest == 0:
        return near
    # Half-way between two floating-point numbers, the digits that rest itself lost in rounding decide.
    if (4 * rest / math.ulp(near)).is_integer():
        return float(sum(map(Fraction, values)) / count)
    return near + rest


def logit_means(probabilities: Floats, counts: Integers, clip: float) -> Floats:
    """Compute the probability of the mean logit of consecutive groups.

    The odds of the result are the geometric mean of the odds, whose exact product needs no logarithm.

    Args:
        probabilities: (N,) in [0,1], group by group.
        counts: (G,) sizes of the groups, at least 1; they sum to N.
        clip: distance from 0 and 1 that probabilities keep, so that no logit is infinite.

    Returns:
        (G,) in [clip, 1 - clip]; a group of equal values has their value.

    >>> logit_means(np.array([0.25, 0.75, 0.1, 0.1, 0.1]), np.array([2, 3]), 1e-7).tolist()
    [0.5, 0.1]
    """
    near_one = 1 - probabilities < clip
    small = _single(np.where(near_one, clip, np.maximum(probabilities, clip)))
    rest = _difference_from_one(small.high)
    odds = _quotient(_chosen(near_one, rest, small), _chosen(near_one, small, rest))
    mean = _root(_products(odds, counts), counts)
    return _rounded(_quotient(mean, _sum_with_one(mean)))


class _Pairs(NamedTuple):
    """Numbers of about 106 bits: (high + low) * 2^exponent, with abs(low) at most half a unit of high; each (N,)."""

    high: Floats
    low: Floats
    exponent: Integers

    def at(self, places: NDArray[Any]) -> _Pairs:
        """Those at some places: indices or a mask."""
        return _Pairs(self.high[places], self.low[places], self.exponent[places])


def _single(values: Floats) -> _Pairs:
    return _Pairs(values, np.zeros_like(values), np.zeros(len(values), np.int64))


def _chosen(where: NDArray[np.bool_], one: _Pairs, other: _Pairs) -> _Pairs:
    return _Pairs(*(np.where(where, a, b) for a, b in zip(one, other, strict=True)))


def _normalised(high: Floats, low: Floats, exponent: Integers) -> _Pairs:
    """Pairs with high in [0.5, 1)."""
    total = high + low
    low = low - (total - high)
    high, shift = np.frexp(total)
    return _Pairs(high, np.ldexp(low, -shift), exponent + shift)


def _rounded(pairs: _Pairs) -> Floats:
    return np.ldexp(pairs.high + pairs.low, pairs.exponent.astype(np.int32))


def _difference_from_one(values: Floats) -> _Pairs:
    high = 1 - values
    return _normalised(high, (1 - high) - values, np.zeros(len(values), np.int64))


def _sum_with_one(pairs: _Pairs) -> _Pairs:
    exponent = pairs.exponent.astype(np.int32)
    high, low = np.ldexp(pairs.high, exponent), np.ldexp(pairs.low, exponent)
    larger, smaller = np.maximum(high, 1), np.minimum(high, 1)
    total = larger + smaller
    return _normalised(total, (smaller - (total - larger)) + low, np.zeros(len(high), np.int64))


def _rounding_of_product(a: Floats, b: Floats, product: Floats) -> Floats:
    """The exact product minus its rounded value."""
    a_high, b_high = _leading(a), _leading(b)
    a_low, b_low = a - a_high, b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _leading(values: Floats) -> Floats:
    scaled = _SPLIT * values
    return scaled - (scaled - values)


def _product(a: _Pairs, b: _Pairs) -> _Pairs:
    high = a.high * b.high
    low = _rounding_of_product(a.high, b.high, high) + (a.high * b.low + a.low * b.high)
    return _normalised(high, low, a.exponent + b.exponent)


def _quotient(a: _Pairs, b: _Pairs) -> _Pairs:
    high = a.high / b.high
    product = high * b.high
    rest = ((a.high - product) - _rounding_of_product(high, b.high, product)) + (a.low - high * b.low)
    return _normalised(high, rest / b.high, a.exponent - b.exponent)


def _products(factors: _Pairs, counts: Integers) -> _Pairs:
    """Products of consecutive groups, (N,) to (G,), by multiplying neighbours until one is left of each group."""
    while counts.max() > 1:
        place = np.arange(len(factors.high)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.flatnonzero(place % 2 == 0)
        paired = place[first] + 1 < np.repeat(counts, (counts + 1) // 2)
        left = factors.at(first)
        both = _product(left.at(paired), factors.at(first[paired] + 1))
        for part, multiplied in zip(left, both, strict=True):
            part[paired] = multiplied
        factors, counts = left, (counts + 1) // 2
    return factors


def _root(numbers: _Pairs, degrees: Integers) -> _Pairs:
    """The root of each number of its own degree: a rounded one, improved once by the exact power of it."""
    near = np.exp((np.log(numbers.high) + numbers.exponent * math.log(2)) / degrees)
    none = np.zeros(len(near), np.int64)
    power, base, left = _single(np.ones_like(near)), _normalised(near, np.zeros_like(near), none), degrees
    while left.any():
        power = _chosen(left % 2 == 1, _product(power, base), power)
        base, left = _product(base, base), left // 2
    shift = (numbers.exponent - power.exponent).astype(np.int32)
    ahead = (np.ldexp(numbers.high, shift) - power.high) + (np.ldexp(numbers.low, shift) - power.low)
    factor = np.log1p(ahead / power.high) / degrees
    return _normalised(near, near * np.expm1(factor), none)
