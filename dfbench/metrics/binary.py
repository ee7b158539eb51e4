"""Binary metrics: pure functions of labels (fake = 1) and scores P(fake).

All of them raise :class:`~dfbench.errors.DataError` for NaN, infinite or out-of-range scores and for labels other
than 0 and 1, and :class:`~dfbench.errors.UndefinedMetric` with the reason where the metric is undefined; they never
return a default value instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import UndefinedMetric
from dfbench.metrics.definitions import metric_definition
from dfbench.metrics.roc import Counts, auc_of, crossing_of, rank, vertices
from dfbench.metrics.validation import check, check_scores, check_threshold, require_both


@dataclass(frozen=True)
class EqualError:
    """The point of the ROC where both error rates are equal.

    Attributes:
        value: the error rate, a fraction.
        threshold: the score at which it is reached, interpolated like the rate itself.
    """

    value: float
    threshold: float


@dataclass(frozen=True, eq=False)
class RocCurve:
    """All vertices of the ROC; none is dropped.

    Attributes:
        fpr: (V,) fraction of reals at or above the threshold, from 0 to 1.
        tpr: (V,) fraction of fakes at or above the threshold, from 0 to 1.
        thresholds: (V,) infinity first, then the distinct scores in descending order.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Detection error trade-off: both error rates at every threshold of the ROC.

    Attributes:
        fpr: (V,) fraction of reals at or above the threshold, from 0 to 1.
        fnr: (V,) fraction of fakes below the threshold, from 1 to 0.
        thresholds: (V,) infinity first, then the distinct scores in descending order.
    """

    fpr: NDArray[np.float64]
    fnr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Compute the fraction of correct decisions; ``score >= threshold`` means fake.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        threshold: in [0,1].

    >>> accuracy([0, 0, 1, 1], [0.2, 0.5, 0.5, 0.9])
    0.75
    """
    y, s = check(labels, scores)
    return float(np.mean((s >= check_threshold(threshold)) == y))


def ties_at(scores: ArrayLike, threshold: float = 0.5) -> int:
    """Count the scores exactly at the threshold, where ``>`` and ``>=`` would differ.

    >>> ties_at([0.2, 0.5, 0.5, 0.9])
    2
    """
    return int(np.count_nonzero(check_scores(scores) == check_threshold(threshold)))


def class_recalls(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> tuple[float, float]:
    """Compute the recall of reals and the recall of fakes.

    Raises:
        UndefinedMetric: one class is missing.

    >>> class_recalls([0, 0, 1, 1], [0.2, 0.5, 0.5, 0.9])
    (0.5, 1.0)
    """
    y, s = check(labels, scores)
    require_both(y)
    called = s >= check_threshold(threshold)
    return float(np.mean(~called[y == 0])), float(np.mean(called[y == 1]))


def balanced_accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Compute the mean of the two class recalls: 0.5 for a constant prediction, whatever the class sizes.

    >>> balanced_accuracy([0, 1, 1, 1], [0.9, 0.9, 0.9, 0.9])
    0.5
    """
    real, fake = class_recalls(labels, scores, threshold)
    return (real + fake) / 2


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the area under the ROC: the probability that a fake scores above a real, ties counting one half.

    Raises:
        UndefinedMetric: one class is missing.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([0, 1, 1], [0.5, 0.5, 0.5])
    0.5
    """
    return float(auc_of(*_vertices(labels, scores))[0])


def eer(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the equal error rate, interpolated linearly on the full ROC. See :func:`equal_error` for its threshold.

    >>> eer([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    >>> eer([0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5])
    0.5
    """
    return equal_error(labels, scores).value


def equal_error(labels: ArrayLike, scores: ArrayLike) -> EqualError:
    """Compute the equal error rate and its threshold.

    The ROC starts at an infinite threshold, where every sample is classified as real. For a crossing on the first
    segment the threshold is the highest score, so that it is always finite.

    Raises:
        UndefinedMetric: one class is missing.

    >>> equal_error([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.8])
    EqualError(value=0.0, threshold=0.6)
    """
    y, s = check(labels, scores)
    require_both(y)
    ranking = rank(y, s)
    value, after, share = crossing_of(*vertices(ranking))
    end = int(after[0])
    low, high = ranking.thresholds[end], ranking.thresholds[end - 1]
    threshold = low if np.isinf(high) else high + share[0] * (low - high)
    return EqualError(float(value[0]), float(threshold))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Compute all vertices of the ROC, including collinear ones.

    Raises:
        UndefinedMetric: one class is missing.

    >>> roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).tpr
    array([0. , 0.5, 0.5, 1. , 1. ])
    """
    y, s = check(labels, scores)
    require_both(y)
    ranking = rank(y, s)
    tp, fp = vertices(ranking)
    return RocCurve(fp[0] / fp[0, -1], tp[0] / tp[0, -1], ranking.thresholds)


def det_curve(labels: ArrayLike, scores: ArrayLike) -> DetCurve:
    """Compute both error rates at every vertex (Martin et al., Eurospeech 1997), for normal-deviate axes.

    Raises:
        UndefinedMetric: one class is missing.

    >>> det_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).fnr
    array([1. , 0.5, 0.5, 0. , 0. ])
    """
    roc = roc_curve(labels, scores)
    return DetCurve(roc.fpr, 1 - roc.tpr, roc.thresholds)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the average precision, the sum over recall steps of the precision there.

    Fakes are the positive class; tied scores are one step.

    Raises:
        UndefinedMetric: one class is missing.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return _ranked("ap", labels, scores)


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """Compute the highest true positive rate at a false positive rate of at most ``fpr``.

    The result belongs to a vertex of the ROC, which a threshold reaches; vertices are not interpolated. Tables
    require at least ``10 / fpr`` real media; this function does not.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        fpr: between 0 and 1.

    Raises:
        UndefinedMetric: one class is missing.
        UsageError: ``fpr`` is not between 0 and 1.

    >>> tpr_at_fpr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.1)
    0.5
    """
    return _ranked(f"tpr@fpr={fpr}", labels, scores)


def partial_auc(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """Compute the area under the ROC from FPR 0 to ``fpr``: at most ``fpr``, and ``fpr**2 / 2`` for chance.

    >>> partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5)
    0.25
    """
    return _ranked(f"pauc@fpr={fpr}", labels, scores)


def partial_auc_mcclish(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """Compute the partial area with 0.5 for chance and 1 for a perfect detector (McClish, Med. Decis. Making 9, 1989).

    >>> round(partial_auc_mcclish([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5), 4)
    0.6667
    """
    return _ranked(f"pauc-mcclish@fpr={fpr}", labels, scores)


def _ranked(metric: str, labels: ArrayLike, scores: ArrayLike) -> float:
    ranked = metric_definition(metric).ranked
    assert ranked is not None
    return float(ranked(*_vertices(labels, scores))[0])


def _vertices(labels: ArrayLike, scores: ArrayLike) -> tuple[Counts, Counts]:
    y, s = check(labels, scores)
    require_both(y)
    return vertices(rank(y, s))


def majority(n: int, n_positive: int) -> float:
    """Compute the accuracy of always predicting the larger class.

    Args:
        n: number of samples.
        n_positive: number of fakes among them.

    Raises:
        UndefinedMetric: there are no samples.

    >>> majority(700, 560)
    0.8
    """
    if n <= 0 or not 0 <= n_positive <= n:
        raise UndefinedMetric(f"no majority among {n_positive} fakes of {n} samples")
    return max(n_positive, n - n_positive) / n
