"""How far probabilities can be taken at their word: log-loss, Brier score, expected calibration error.

Each is a function of sums over samples, so that a resample is a sum of its groups' sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.metrics.roc import Values
from dfbench.metrics.validation import Labels, Scores, check

BINS = 15
"""Bins of equal width of the calibration error (Guo et al., ICML 2017, section 2)."""

CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are moved this far from 0 and 1 before their logarithm is taken, so that the loss stays finite."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was said and what was true, in the bins of :func:`ece`.

    Attributes:
        counts: (BINS,) samples in each bin, int64.
        scores: (BINS,) their mean score; NaN where there is none.
        fakes: (BINS,) share of fakes among them; NaN where there is none.
    """

    counts: NDArray[np.int64]
    scores: Values
    fakes: Values


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean negative logarithm of the probability given to the true class, in nats.

    >>> round(log_loss([0, 1], [0.5, 0.5]), 6)
    0.693147
    """
    return _value(labels, scores, log_loss_columns, mean_of)


def brier(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean squared difference of label and P(fake) (Brier 1950, one-sided form).

    >>> brier([0, 1], [0.5, 1.0])
    0.125
    """
    return _value(labels, scores, brier_columns, mean_of)


def ece(labels: ArrayLike, scores: ArrayLike) -> float:
    """Expected calibration error of P(fake): share of fakes against mean score, over 15 bins of equal width.

    A score on the border of two bins belongs to the upper one; 1 belongs to the last.

    >>> ece([0, 1], [0.25, 0.75])
    0.25
    """
    return _value(labels, scores, ece_columns, ece_of)


def reliability(labels: ArrayLike, scores: ArrayLike) -> Reliability:
    """The points of a reliability diagram; :func:`ece` is their mean distance from the diagonal, by samples.

    >>> found = reliability([0, 1, 1], [0.5, 0.5, 1.0])
    >>> found.counts[[7, 14]].tolist(), found.scores[[7, 14]].tolist(), found.fakes[[7, 14]].tolist()
    ([2, 1], [0.5, 1.0], [0.5, 1.0])
    """
    y, s = check(labels, scores)
    place = _bin_of(s)
    counts = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        said, true = (np.bincount(place, weights=values, minlength=BINS) / counts for values in (s, y))
    return Reliability(counts.astype(np.int64), said, true)


def log_loss_columns(labels: Labels, scores: Scores) -> Values:
    """Per sample: one, its loss."""
    own = np.clip(np.where(labels == 1, scores, 1 - scores), CLIP, 1 - CLIP)
    return np.stack([np.ones_like(own), -np.log(own)], axis=1)


def brier_columns(labels: Labels, scores: Scores) -> Values:
    """Per sample: one, its squared error."""
    return np.stack([np.ones_like(scores), (scores - labels) ** 2], axis=1)


def ece_columns(labels: Labels, scores: Scores) -> Values:
    """Per sample: one, then for each bin the score less the label where the score lies in the bin, else 0."""
    columns = np.zeros((len(scores), 1 + BINS))
    columns[:, 0] = 1
    columns[np.arange(len(scores)), 1 + _bin_of(scores)] = scores - labels
    return columns


def mean_of(sums: Values) -> Values:
    """Second sum over the first; (B,) from (B, 2)."""
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
