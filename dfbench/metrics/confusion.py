"""Metrics that are functions of the confusion matrix, for one weighting of the samples or for many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError, UndefinedMetric
from dfbench.metrics.roc import Values

BINARY = ("real", "fake")
"""The classes of the binary task, in label order."""

Confusion = NDArray[np.float64]


def confusion_matrix(truth: ArrayLike, called: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count predictions by true and predicted class.

    Args:
        truth: (N,) true class numbers, 0 to C - 1.
        called: (N,) predicted class numbers, 0 to C - 1.
        classes: number of classes C.

    Returns:
        (C, C) int64; rows are true classes, columns predicted classes.

    Raises:
        DataError: the lengths differ, or a number is out of range.

    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 1], 3)
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 1, 0]])
    """
    t, c = check_classes(truth, classes), check_classes(called, classes)
    if len(t) != len(c):
        raise DataError(f"truth and called have different lengths: {len(t)} and {len(c)}")
    return np.bincount(t * classes + c, minlength=classes * classes).reshape(classes, classes)


def check_classes(numbers: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return class numbers as an int64 vector.

    Raises:
        DataError: not a vector of integers from 0 to ``classes`` - 1.
    """
    array = np.asarray(numbers)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
        raise DataError(f"class numbers must be a vector of integers, but are {array.dtype} of shape {array.shape}")
    if array.size and (int(array.min()) < 0 or int(array.max()) >= classes):
        raise DataError(f"class numbers must be between 0 and {classes - 1}")
    return array.astype(np.int64)


def multiclass_accuracy(truth: ArrayLike, called: ArrayLike, classes: int) -> float:
    """Compute the fraction of correct predictions.

    >>> multiclass_accuracy([0, 0, 1, 2], [0, 1, 1, 1], 3)
    0.5
    """
    return float(accuracy_of(_one(truth, called, classes), ())[0])


def macro_f1(truth: ArrayLike, called: ArrayLike, classes: int) -> float:
    """Compute the mean F1 over the classes that occur among the samples.

    >>> macro_f1([0, 0, 1, 1], [0, 1, 1, 1], 2)
    0.733...
    """
    return float(macro_f1_of(_one(truth, called, classes), ())[0])


def accuracy_of(matrix: Confusion, classes: Sequence[str]) -> Values:
    """Trace over sum; (B,) from (B, C, C)."""
    return np.asarray(np.trace(matrix, axis1=1, axis2=2) / matrix.sum(axis=(1, 2)), np.float64)


def balanced_of(matrix: Confusion, classes: Sequence[str]) -> Values:
    """Mean recall over the classes that occur; (B,) from (B, C, C)."""
    recalls = _recalls(matrix)
    occurs = ~np.isnan(recalls)
    return np.asarray(np.where(occurs, recalls, 0.0).sum(axis=1) / occurs.sum(axis=1), np.float64)


def macro_f1_of(matrix: Confusion, classes: Sequence[str]) -> Values:
    """Mean over the classes that occur of 2 TP / (2 TP + FP + FN); (B,) from (B, C, C)."""
    right = np.diagonal(matrix, axis1=1, axis2=2)
    truth, called = matrix.sum(axis=2), matrix.sum(axis=1)
    f1 = np.divide(2 * right, truth + called, out=np.zeros(right.shape), where=truth > 0)
    return np.asarray(f1.sum(axis=1) / (truth > 0).sum(axis=1), np.float64)


def recall_of(matrix: Confusion, classes: Sequence[str], name: str) -> Values:
    """Recall of one class; (B,) from (B, C, C); NaN where a resample has no sample of it."""
    return np.asarray(_recalls(matrix)[:, list(classes).index(name)], np.float64)


def _recalls(matrix: Confusion) -> NDArray[np.float64]:
    truth = matrix.sum(axis=2)
    right = np.diagonal(matrix, axis1=1, axis2=2)
    recalls: NDArray[np.float64] = np.divide(right, truth, out=np.full(truth.shape, np.nan), where=truth > 0)
    return recalls


def _one(truth: ArrayLike, called: ArrayLike, classes: int) -> Confusion:
    matrix = confusion_matrix(truth, called, classes)
    if not matrix.sum():
        raise UndefinedMetric("no scored samples")
    return matrix[None].astype(np.float64)
