"""Random tables of scores in 64ths, and the AUC of their frames and videos in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from functools import cmp_to_key
from math import prod

import numpy as np

from dfbench.metrics.aggregation import LOGIT_CLIP

LEVELS = ("frame", "mean", "mean-logit", "max", "median", "vote")
CLIP = Fraction(LOGIT_CLIP)

Videos = list[tuple[int, list[int]]]
"""Label and scores in 64ths of the frames of each video."""


def random_videos(rng: np.random.Generator) -> Videos:
    """Videos of different lengths whose scores often have the same mean, median or product of odds."""
    few = rng.integers(0, 65, rng.integers(2, 12))
    every = np.concatenate([few, 64 - few])
    return [(int(n % 2), rng.choice(every, rng.integers(1, 9)).tolist()) for n in range(rng.integers(6, 24))]


def columns(videos: Videos) -> tuple[list[str], list[int], list[float]]:
    """Video, label and score of every frame."""
    rows = [(f"v{n:02d}", label, score / 64) for n, (label, scores) in enumerate(videos) for score in scores]
    names, labels, scores = zip(*rows, strict=True)
    return list(names), list(labels), list(scores)


def exact_auc(videos: Videos, level: str) -> float:
    """The AUC by comparing every fake with every real in rational numbers."""
    if level == "frame":
        videos = [(label, [score]) for label, scores in videos for score in scores]
        level = "mean"
    order = cmp_to_key(_compare_logits) if level == "mean-logit" else (lambda value: value)
    fakes, reals = ([order(_value(scores, level)) for y, scores in videos if y == label] for label in (1, 0))
    halves = sum(2 if f > r else 1 if f == r else 0 for f in fakes for r in reals)
    return float(Fraction(halves, 2 * len(fakes) * len(reals)))


def _value(scores: list[int], level: str):
    ordered, count = sorted(scores), len(scores)
    if level == "mean-logit":
        return prod(map(_odds, scores), start=Fraction(1)), count
    return {
        "mean": Fraction(sum(scores), count),
        "max": Fraction(ordered[-1]),
        "median": Fraction(ordered[(count - 1) // 2] + ordered[count // 2], 2),
        "vote": Fraction(sum(score >= 32 for score in scores), count),
    }[level]


def _odds(score: int) -> Fraction:
    value = min(max(Fraction(score, 64), CLIP), 1 - CLIP)
    return value / (1 - value)


def _compare_logits(one: tuple[Fraction, int], other: tuple[Fraction, int]) -> int:
    """Compare geometric means of odds: the product of one to the number of frames of the other."""
    a, b = one[0] ** other[1], other[0] ** one[1]
    return (a > b) - (a < b)
