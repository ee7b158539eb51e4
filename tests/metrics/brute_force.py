"""Metrics written a second time, slowly and from their definitions, sharing nothing with the library."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise


def auc(labels, scores) -> float:
    """Count all pairs of a fake and a real; a tie counts one half."""
    fakes = [s for y, s in zip(labels, scores, strict=True) if y == 1]
    reals = [s for y, s in zip(labels, scores, strict=True) if y == 0]
    halves = sum(2 if f > r else 1 if f == r else 0 for f in fakes for r in reals)
    return float(Fraction(halves, 2 * len(fakes) * len(reals)))


def eer(labels, scores) -> float:
    """Intersect every segment between neighbouring ROC points with the line tpr = 1 - fpr, in exact fractions."""
    fakes = [s for y, s in zip(labels, scores, strict=True) if y == 1]
    reals = [s for y, s in zip(labels, scores, strict=True) if y == 0]
    points = [
        (Fraction(sum(r >= t for r in reals), len(reals)), Fraction(sum(f >= t for f in fakes), len(fakes)))
        for t in [math.inf, *sorted(set(scores), reverse=True)]
    ]
    hits = set()
    for (x0, y0), (x1, y1) in pairwise(points):
        a, b = x0 + y0 - 1, x1 + y1 - 1
        if a == b:
            continue
        u = a / (a - b)
        if 0 <= u <= 1:
            hits.add(x0 + u * (x1 - x0))
    (rate,) = hits
    return float(rate)


def accuracy(labels, scores, threshold) -> float:
    """Judge one sample after the other."""
    right = [(1 if s >= threshold else 0) == y for y, s in zip(labels, scores, strict=True)]
    return sum(right) / len(right)


def balanced(labels, scores, threshold) -> float:
    """Mean of the accuracies of the two classes."""
    parts = []
    for value in (0, 1):
        own = [(y, s) for y, s in zip(labels, scores, strict=True) if y == value]
        parts.append(accuracy([y for y, _ in own], [s for _, s in own], threshold))
    return sum(parts) / 2
