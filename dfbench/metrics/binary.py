"""Metrics of a real/fake decision: pure functions of labels (fake = 1) and scores P(fake).

All of them refuse NaN, infinite and out-of-range scores and labels other than 0 and 1
(:class:`~dfbench.errors.DataError`), and raise :class:`~dfbench.errors.UndefinedMetric` with the reason where the
quantity does not exist; no default value ever stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import UndefinedMetric
from dfbench.metrics.definitions import kind_of
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
    """Every vertex of the ROC; nothing is dropped.

    Attributes:
        fpr: (V,) share of reals at or above the threshold, from 0 to 1.
        tpr: (V,) share of fakes at or above the threshold, from 0 to 1.
        thresholds: (V,) infinity first, then the distinct scores in descending order.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Detection error trade-off: both error rates at every threshold of the ROC.

    Attributes:
        fpr: (V,) share of reals at or above the threshold, from 0 to 1.
        fnr: (V,) share of fakes below the threshold, from 1 to 0.
        thresholds: (V,) infinity first, then the distinct scores in descending order.
    """

    fpr: NDArray[np.float64]
    fnr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Share of samples on the right side of the threshold; ``score >= threshold`` means fake.

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
    """How many scores lie exactly on the threshold, where ``>`` and ``>=`` would differ.

    >>> ties_at([0.2, 0.5, 0.5, 0.9])
    2
    """
    return int(np.count_nonzero(check_scores(scores) == check_threshold(threshold)))


def class_recalls(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> tuple[float, float]:
    """Share of the reals called real, and of the fakes called fake.

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
    """Mean of the two class recalls: 0.5 for a constant answer, whatever the class sizes.

    >>> balanced_accuracy([0, 1, 1, 1], [0.9, 0.9, 0.9, 0.9])
    0.5
    """
    real, fake = class_recalls(labels, scores, threshold)
    return (real + fake) / 2


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC: the chance that a fake scores above a real, a tie counting one half (mid-ranks).

    Raises:
        UndefinedMetric: one class is missing.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([0, 1, 1], [0.5, 0.5, 0.5])
    0.5
    """
    return float(auc_of(*_vertices(labels, scores))[0])


def eer(labels: ArrayLike, scores: ArrayLike) -> float:
    """Equal error rate, interpolated linearly on the full ROC. See :func:`equal_error` for its threshold.

    >>> eer([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.5
    >>> eer([0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5])
    0.5
    """
    return equal_error(labels, scores).value


def equal_error(labels: ArrayLike, scores: ArrayLike) -> EqualError:
    """Equal error rate with its threshold.

    The ROC starts at an infinite threshold, where nothing is called fake. A crossing on the segment that starts
    there takes the highest score as its threshold, so that the threshold is always finite.

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
    """All vertices of the ROC, collinear ones included.

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
    """The ROC's vertices as error rates (Martin et al., Eurospeech 1997), to be drawn on normal-deviate axes.

    Raises:
        UndefinedMetric: one class is missing.

    >>> det_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).fnr
    array([1. , 0.5, 0.5, 0. , 0. ])
    """
    roc = roc_curve(labels, scores)
    return DetCurve(roc.fpr, 1 - roc.tpr, roc.thresholds)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Sum over the steps in recall of the precision reached there; fakes are positive, tied scores are one step.

    Raises:
        UndefinedMetric: one class is missing.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return _ranked("ap", labels, scores)


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """The highest true positive rate of a threshold whose false positive rate is at most ``fpr``.

    A point of the ROC that a threshold reaches, not one between two: what a user can set. Tables ask for at least
    ``10 / fpr`` real media before they print it; this function does not.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].
        fpr: between 0 and 1.

    Raises:
        UndefinedMetric: one class is missing.
        UsageError: ``fpr`` is no rate.

    >>> tpr_at_fpr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.1)
    0.5
    """
    return _ranked(f"tpr@fpr={fpr}", labels, scores)


def partial_auc(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """The area under the ROC from FPR 0 to ``fpr``, as it is: at most ``fpr``, ``fpr**2 / 2`` for chance.

    >>> partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5)
    0.25
    """
    return _ranked(f"pauc@fpr={fpr}", labels, scores)


def partial_auc_mcclish(labels: ArrayLike, scores: ArrayLike, fpr: float) -> float:
    """The partial area rescaled to 0.5 for chance and 1 for perfection (McClish, Med. Decis. Making 9, 1989).

    >>> round(partial_auc_mcclish([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5), 4)
    0.6667
    """
    return _ranked(f"pauc-mcclish@fpr={fpr}", labels, scores)


def _ranked(metric: str, labels: ArrayLike, scores: ArrayLike) -> float:
    ranked = kind_of(metric).ranked
    assert ranked is not None
    return float(ranked(*_vertices(labels, scores))[0])


def _vertices(labels: ArrayLike, scores: ArrayLike) -> tuple[Counts, Counts]:
    y, s = check(labels, scores)
    require_both(y)
    return vertices(rank(y, s))


def majority(n: int, n_positive: int) -> float:
    """Accuracy of always answering the larger class: what every accuracy must be read against.

    Args:
        n: number of samples.
        n_positive: how many of them are fake.

    Raises:
        UndefinedMetric: there is no sample.

    >>> majority(700, 560)
    0.8
    """
    if n <= 0 or not 0 <= n_positive <= n:
        raise UndefinedMetric(f"no majority among {n_positive} fakes of {n} samples")
    return max(n_positive, n - n_positive) / n
