"""Checks that stand before every metric: wrong input is refused with its positions, never repaired."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, UndefinedMetric

Labels = NDArray[np.int8]
Scores = NDArray[np.float64]

_NAMED = 5  # offending positions named in a message


def _positions(mask: NDArray[np.bool_]) -> str:
    at = np.flatnonzero(mask)
    more = f" and {len(at) - _NAMED} more" if len(at) > _NAMED else ""
    return ", ".join(str(i) for i in at[:_NAMED]) + more


def check_scores(scores: ArrayLike) -> Scores:
    """Scores as a float64 vector of probabilities of fake.

    Args:
        scores: (N,) numbers in [0,1].

    Raises:
        DataError: not one-dimensional, not numbers, NaN, infinite, or outside [0,1]; the first positions are named.

    >>> check_scores([0, 0.25, 1])
    array([0.  , 0.25, 1.  ])
    """
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"scores are not numbers: {error}") from error
    if array.ndim != 1:
        raise DataError(f"scores must be a vector, but have the shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise DataError(
            f"scores are not finite at the positions {_positions(bad)}",
            "a sample without a score takes no part, or takes the score its failure policy gives it",
        )
    bad = (array < 0) | (array > 1)
    if bad.any():
        raise DataError(
            f"scores lie outside [0,1] at the positions {_positions(bad)}",
            "scores are probabilities of fake; turn logits into probabilities first",
        )
    return array


def check_labels(labels: ArrayLike) -> Labels:
    """Labels as an int8 vector of 0 (real) and 1 (fake).

    Raises:
        DataError: not one-dimensional, or values other than 0 and 1; the first positions are named.

    >>> check_labels([True, False])
    array([1, 0], dtype=int8)
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise DataError(f"labels must be a vector, but have the shape {array.shape}")
    if array.dtype.kind not in "biuf" and array.size:
        raise DataError(f"labels must be the numbers 0 (real) and 1 (fake), but are {array.dtype}")
    bad = ~((array == 0) | (array == 1))
    if bad.any():
        raise DataError(f"labels other than 0 (real) and 1 (fake) at the positions {_positions(bad)}")
    return array.astype(np.int8)


def check(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Labels and scores that fit each other.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].

    Returns:
        The same as int8 and float64 arrays.

    Raises:
        DataError: one of them is not what it should be, or their lengths differ.
        UndefinedMetric: there is no sample at all.
    """
    y, s = check_labels(labels), check_scores(scores)
    if len(y) != len(s):
        raise DataError(f"{len(y)} labels do not fit {len(s)} scores")
    if not len(y):
        raise UndefinedMetric("no scored samples")
    return y, s


def require_both(labels: Labels) -> None:
    """Raise :class:`UndefinedMetric` where only one class is present.

    >>> require_both(np.array([1, 1], np.int8))
    Traceback (most recent call last):
    dfbench.errors.UndefinedMetric: only fake samples (2); both classes are needed
    """
    n, fake = len(labels), int(np.sum(labels, dtype=np.int64))
    if fake in (0, n):
        raise UndefinedMetric(f"only {'fake' if fake else 'real'} samples ({n}); both classes are needed")


def check_threshold(threshold: float) -> float:
    """A decision threshold in [0,1].

    Raises:
        DataError: it is not.
    """
    if not 0.0 <= threshold <= 1.0:
        raise DataError(f"the threshold {threshold!r} lies outside [0,1]")
    return float(threshold)
