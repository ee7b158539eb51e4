"""Calibration metrics: log-loss, Brier score, expected calibration error.

Each is a function of sums over samples, so that the sums of a resample are sums over its groups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.metrics.roc import Values
from dfbench.metrics.validation import Labels, Scores, check

BINS = 15
"""Number of equal-width bins of the calibration error (Guo et al., ICML 2017, section 2)."""

CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to this distance from 0 and 1 before the logarithm, so that the loss stays finite."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Mean score and fraction of fakes in each bin of :func:`ece`.

    Attributes:
        counts: (BINS,) number of samples, int64.
        scores: (BINS,) mean score; NaN in empty bins.
        fakes: (BINS,) fraction of fakes; NaN in empty bins.
    """

    counts: NDArray[np.int64]
    scores: Values
    fakes: Values


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the mean negative logarithm of the probability of the true class, in nats.

    >>> round(log_loss([0, 1], [0.5, 0.5]), 6)
    0.693147
    """
    return _value(labels, scores, log_loss_columns, mean_of)


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the mean squared difference of label and P(fake) (Brier 1950, one-sided form).

    >>> brier([0, 1], [0.5, 1.0])
    0.125
    """
    return _value(labels, scores, brier_columns, mean_of)


def ece(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the expected calibration error of P(fake): fraction of fakes against mean score in 15 equal-width bins.

    A score on the border of two bins belongs to the upper bin; 1 belongs to the last bin.

    >>> ece([0, 1], [0.25, 0.75])
    0.25
    """
    return _value(labels, scores, ece_columns, ece_of)


def reliability(labels: ArrayLike, scores: ArrayLike) -> Reliability:
    """Compute the points of a reliability diagram; :func:`ece` is their sample-weighted distance from the diagonal.

    >>> found = reliability([0, 1, 1], [0.5, 0.5, 1.0])
    >>> found.counts[[7, 14]].tolist(), found.scores[[7, 14]].tolist(), found.fakes[[7, 14]].tolist()
    ([2, 1], [0.5, 1.0], [0.5, 1.0])
    """
    y, s = check(labels, scores)
    bins = _bin_of(s)
    counts = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean_score, fraction = (np.bincount(bins, weights=values, minlength=BINS) / counts for values in (s, y))
    return Reliability(counts.astype(np.int64), mean_score, fraction)


def log_loss_columns(labels: Labels, scores: Scores) -> Values:
    """Columns to sum over samples: 1, the loss."""
    own = np.clip(np.where(labels == 1, scores, 1 - scores), CLIP, 1 - CLIP)
    return np.stack([np.ones_like(own), -np.log(own)], axis=1)


def brier_columns(labels: Labels, scores: Scores) -> Values:
    """Columns to sum over samples: 1, the squared error."""
    return np.stack([np.ones_like(scores), (scores - labels) ** 2], axis=1)


def ece_columns(labels: Labels, scores: Scores) -> Values:
    """Columns to sum over samples: 1, then for each bin score minus label where the score is in the bin, else 0."""
    columns = np.zeros((len(scores), 1 + BINS))
    columns[:, 0] = 1
    columns[np.arange(len(scores)), 1 + _bin_of(scores)] = scores - labels
    return columns


def mean_of(sums: Values) -> Values:
    """Second sum divided by the first; (B,) from (B, 2)."""
    return np.asarray(sums[:, 1] / sums[:, 0], np.float64)


def ece_of(sums: Values) -> Values:
    """The bins' absolute differences, weighted by their samples; (B,) from (B, 1 + BINS)."""
    return np.asarray(np.abs(sums[:, 1:]).sum(axis=1) / sums[:, 0], np.float64)


def _bin_of(scores: Scores) -> NDArray[np.intp]:
    return np.minimum((scores * BINS).astype(np.intp), BINS - 1)


def _value(
    labels: ArrayLike,
    scores: ArrayLike,
    columns: Callable[[Labels, Scores], Values],
    of: Callable[[Values], Values],
) -> float:
    y, s = check(labels, scores)
    return float(of(columns(y, s).sum(axis=0, keepdims=True))[0])
