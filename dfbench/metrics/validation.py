"""Input validation of all metrics: invalid values raise an error with their positions and are never corrected."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, UndefinedMetric

Labels = NDArray[np.int8]
Scores = NDArray[np.float64]

_NAMED = 5  # number of positions in a message


def _positions(mask: NDArray[np.bool_]) -> str:
    at = np.flatnonzero(mask)
    more = f" and {len(at) - _NAMED} more" if len(at) > _NAMED else ""
    return ", ".join(str(i) for i in at[:_NAMED]) + more


def check_scores(scores: ArrayLike) -> Scores:
    """Validate scores and return them as float64.

    Args:
        scores: (N,) P(fake) in [0,1].

    Raises:
        DataError: not one-dimensional, not numeric, NaN, infinite, or outside [0,1]; the message gives positions.

    >>> check_scores([0, 0.25, 1])
    array([0.  , 0.25, 1.  ])
    """
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"scores are not numbers: {error}") from error
    if array.ndim != 1:
        raise DataError(f"scores must be one-dimensional, but have shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise DataError(
            f"scores are not finite at positions {_positions(bad)}",
            "drop the samples without a score, or assign them the score of your failure policy",
        )
    bad = (array < 0) | (array > 1)
    if bad.any():
        raise DataError(
            f"scores are outside [0,1] at positions {_positions(bad)}",
            "scores are probabilities of fake; convert logits to probabilities first",
        )
    return array


def check_labels(labels: ArrayLike) -> Labels:
    """Validate labels and return them as int8.

    Raises:
        DataError: not one-dimensional, or values other than 0 and 1; the message gives the first positions.

    >>> check_labels([True, False])
    array([1, 0], dtype=int8)
    """
    array = np.asarray(labels)
    if array.ndim != 1:
        raise DataError(f"labels must be one-dimensional, but have shape {array.shape}")
    if array.dtype.kind not in "biuf" and array.size:
        raise DataError(f"labels must be 0 (real) or 1 (fake), but have dtype {array.dtype}")
    bad = ~((array == 0) | (array == 1))
    if bad.any():
        raise DataError(f"labels other than 0 (real) and 1 (fake) at positions {_positions(bad)}")
    return array.astype(np.int8)


def check(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Validate labels and scores of the same samples.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0,1].

    Returns:
        Labels as int8 and scores as float64.

    Raises:
        DataError: invalid values, or different lengths.
        UndefinedMetric: there are no samples.
    """
    y, s = check_labels(labels), check_scores(scores)
    if len(y) != len(s):
        raise DataError(f"labels and scores have different lengths: {len(y)} and {len(s)}")
    if not len(y):
        raise UndefinedMetric("no scored samples")
    return y, s


def require_both(labels: Labels) -> None:
    """Raise :class:`UndefinedMetric` if only one class is present.

    >>> require_both(np.array([1, 1], np.int8))
    Traceback (most recent call last):
    dfbench.errors.UndefinedMetric: only fake samples (2); both classes are needed
    """
    n, fake = len(labels), int(np.sum(labels, dtype=np.int64))
    if fake in (0, n):
        raise UndefinedMetric(f"only {'fake' if fake else 'real'} samples ({n}); both classes are needed")


def check_threshold(threshold: float) -> float:
    """Validate a decision threshold.

    Raises:
        DataError: it is outside [0,1].
    """
    if not 0.0 <= threshold <= 1.0:
        raise DataError(f"the threshold {threshold!r} is outside [0,1]")
    return float(threshold)
