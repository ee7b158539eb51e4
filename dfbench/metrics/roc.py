"""The full ROC as exact integer counts, for one weighting of the samples or for many at once.

Every rank-based metric (AUC, EER, AP, TPR at an FPR) is a function of the vertices ``(tp, fp)``: the numbers of fakes
and of reals at or above each distinct score. Since these are integers, drawing a sample twice and weighting it by two
give bit-identical values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics.validation import Labels, Scores

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Samples sorted by descending score.

    Attributes:
        order: (N,) sample indices, highest score first.
        fake: (N,) 1 where the sample of that rank is fake, else 0, int64.
        ends: (V,) last rank of each run of equal scores; no vertex is dropped.
        thresholds: (V + 1,) infinity (every sample is real), then the distinct scores in descending order.
    """

    order: NDArray[np.intp]
    fake: Counts
    ends: NDArray[np.intp]
    thresholds: Values


def rank(labels: Labels, scores: Scores) -> Ranking:
    """Sort validated labels and scores."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    thresholds = np.concatenate(([np.inf], ordered[ends]))
    return Ranking(order, labels[order].astype(np.int64), ends, thresholds)


def vertices(ranking: Ranking, weights: NDArray[np.integer] | None = None) -> tuple[Counts, Counts]:
    """Compute the vertices of the ROC as counts.

    Args:
        ranking: the sorted samples.
        weights: (B, N) multiplicity of each sample **in rank order**; None: 1.

    Returns:
        ``tp, fp``: (B, V + 1) fakes and reals at or above each threshold; the first column is 0.
    """
    w = np.ones((1, len(ranking.order)), np.int64) if weights is None else weights
    tp = np.zeros((len(w), len(ranking.thresholds)), np.int64)
    fp = np.zeros_like(tp)
    tp[:, 1:] = np.cumsum(w * ranking.fake, axis=1, dtype=np.int64)[:, ranking.ends]
    fp[:, 1:] = np.cumsum(w, axis=1, dtype=np.int64)[:, ranking.ends] - tp[:, 1:]
    return tp, fp


def auc_of(tp: Counts, fp: Counts) -> Values:
    """Area under the ROC by the trapezoidal rule, equivalent to mid-ranks for ties; (B,) from (B, V + 1)."""
    twice = np.sum(np.diff(fp, axis=1) * (tp[:, 1:] + tp[:, :-1]), axis=1)
    return np.asarray(twice / (2 * tp[:, -1] * fp[:, -1]), np.float64)


def crossing_of(tp: Counts, fp: Counts) -> tuple[Values, NDArray[np.intp], Values]:
    """Find where the ROC crosses FPR = FNR.

    Returns:
        The equal error rate (B,), the vertex at or after the crossing (B,), and the position of the crossing on the
        segment that ends there, in (0,1] (B,).
    """
    fakes, reals = tp[:, -1:], fp[:, -1:]
    # FPR - FNR times both class sizes: integers that increase monotonically from below zero to above it.
    gap = fp * fakes - (fakes - tp) * reals
    after = np.argmax(gap >= 0, axis=1)
    row = np.arange(len(tp))
    low, high = gap[row, after - 1], gap[row, after]
    share = -low / (high - low)
    start, end = fp[row, after - 1], fp[row, after]
    return (start + share * (end - start)) / reals[:, 0], after, share


def eer_of(tp: Counts, fp: Counts) -> Values:
    """Equal error rate, interpolated linearly on the full ROC; (B,) from (B, V + 1)."""
    return crossing_of(tp, fp)[0]


def ap_of(tp: Counts, fp: Counts) -> Values:
    """Average precision, the sum of precision over the steps in recall; tied scores are one step; (B,)."""
    called = np.maximum(tp[:, 1:] + fp[:, 1:], 1)  # without predictions of fake the recall does not change
    return np.asarray(np.sum(np.diff(tp, axis=1) * (tp[:, 1:] / called), axis=1) / tp[:, -1], np.float64)


def ap_after_errors(share: float, ratio: float) -> float:
    """Average precision if a share of the negatives score above all positives, and the others below them.

    Args:
        share: fraction of the negatives.
        ratio: number of negatives for each positive.

    >>> round(ap_after_errors(0.1, 1.0), 3)
    0.76
    """
    above = share * ratio
    return 1 - above * math.log1p(1 / above)


def tpr_at(tp: Counts, fp: Counts, limit: float) -> Values:
    """Highest TPR of a vertex whose FPR is at most ``limit``, without interpolation; (B,)."""
    reached = np.where(fp / fp[:, -1:] <= limit, tp, 0)
    return np.asarray(reached.max(axis=1) / tp[:, -1], np.float64)


def partial_auc_of(tp: Counts, fp: Counts, limit: float) -> Values:
    """Area under the ROC from FPR 0 to ``limit``, at most ``limit``; (B,)."""
    x, y = fp / fp[:, -1:], tp / tp[:, -1:]
    length = np.diff(x, axis=1)
    inside = np.clip(limit - x[:, :-1], 0, length)
    share = np.divide(inside, length, out=np.zeros_like(length), where=length > 0)
    end = y[:, :-1] + share * np.diff(y, axis=1)
    return np.asarray(np.sum(inside * (y[:, :-1] + end) / 2, axis=1), np.float64)


def partial_auc_after_errors(share: float, ratio: float, limit: float) -> float:
    """Partial area, as a fraction of ``limit``, if a share of the negatives score above all positives.

    >>> round(partial_auc_after_errors(0.025, 1.0, 0.1), 3)
    0.75
    """
    return max(0.0, 1 - share / limit)


def mcclish_of(tp: Counts, fp: Counts, limit: float) -> Values:
    """Partial area rescaled to 0.5 for chance and 1 for a perfect detector (McClish 1989); (B,)."""
    chance = limit * limit / 2
    return (1 + (partial_auc_of(tp, fp, limit) - chance) / (limit - chance)) / 2


def inverted(tp: Counts, fp: Counts) -> tuple[Counts, Counts]:
    """Vertices of the same samples with real as the positive class, scored by P(real)."""
    return fp[:, -1:] - fp[:, ::-1], tp[:, -1:] - tp[:, ::-1]
