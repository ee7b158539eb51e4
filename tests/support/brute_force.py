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


def points(labels, scores):
    """(FPR, TPR) at infinity and at every distinct score, in exact fractions."""
    fakes = [s for y, s in zip(labels, scores, strict=True) if y == 1]
    reals = [s for y, s in zip(labels, scores, strict=True) if y == 0]
    return [
        (Fraction(sum(r >= t for r in reals), len(reals)), Fraction(sum(f >= t for f in fakes), len(fakes)))
        for t in [math.inf, *sorted(set(scores), reverse=True)]
    ]


def average_precision(labels, scores) -> float:
    """Walk down the distinct scores and add precision times the recall that each one gains."""
    total, before = Fraction(0), Fraction(0)
    for t in sorted(set(scores), reverse=True):
        called = [y for y, s in zip(labels, scores, strict=True) if s >= t]
        recall = Fraction(sum(called), sum(labels))
        total += (recall - before) * Fraction(sum(called), len(called))
        before = recall
    return float(total)


def tpr_at_fpr(labels, scores, limit) -> float:
    """The best TPR among the thresholds that keep the limit."""
    return float(max(y for x, y in points(labels, scores) if float(x) <= limit))


def partial_auc(labels, scores, limit) -> float:
    """Trapezoids up to the limit, the last one cut by linear interpolation."""
    area, end = Fraction(0), Fraction(limit)
    for (x0, y0), (x1, y1) in pairwise(points(labels, scores)):
        if x0 >= end or x0 == x1:
            continue
        x2 = min(x1, end)
        y2 = y0 + (x2 - x0) / (x1 - x0) * (y1 - y0)
        area += (x2 - x0) * (y0 + y2) / 2
    return float(area)


def ece(labels, scores, bins=15) -> float:
    """Each bin alone: |share of fakes - mean score|, weighted by its samples."""
    total = 0.0
    for b in range(bins):
        own = [(y, s) for y, s in zip(labels, scores, strict=True) if min(int(s * bins), bins - 1) == b]
        if own:
            gap = sum(y for y, _ in own) / len(own) - sum(s for _, s in own) / len(own)
            total += abs(gap) * len(own) / len(labels)
    return total


def f1(truth, called, name) -> float:
    """Harmonic mean of precision and recall of one class."""
    hits = sum(t == c == name for t, c in zip(truth, called, strict=True))
    precision = hits / max(1, sum(c == name for c in called))
    recall = hits / sum(t == name for t in truth)
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def placements(labels, scores):
    """For each fake the share of reals below it, for each real the share of fakes above it; ties one half."""
    fakes = [s for y, s in zip(labels, scores, strict=True) if y == 1]
    reals = [s for y, s in zip(labels, scores, strict=True) if y == 0]

    def psi(f, r):
        return 1.0 if f > r else 0.5 if f == r else 0.0

    return (
        [sum(psi(f, r) for r in reals) / len(reals) for f in fakes],
        [sum(psi(f, r) for f in fakes) / len(fakes) for r in reals],
    )
