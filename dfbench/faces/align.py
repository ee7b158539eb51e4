"""Alignment of faces: the landmark template, and the similarity that maps one set of points onto another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError

ARCFACE = np.array(
    [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]], np.float64
)
"""ArcFace's template (Deng et al., 2019) in a frame 96 wide and 112 high: eyes, nose, mouth corners, image-left first.

Shifted right by 8 it is the familiar one of 112 x 112, whose first point is (38.2946, 51.6963).
"""
ARCFACE.setflags(write=False)

TARGETS = ((ARCFACE + np.array([8.0, 0.0])) / 112.0 + 0.15) / 1.3
"""Where DeepfakeBench's preprocessing puts the five points, in units of the crop's side: the widened template with a
margin of 0.15 around it."""
TARGETS.setflags(write=False)


def in_source(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of a crop in pixels of the frame, float64 (n, 2).

    Args:
        points: (n, 2), in pixels of the crop.
        matrix: (2, 3), frame to crop pixels.
    """
    moved = points.astype(np.float64) - matrix[:, 2]
    return np.asarray(np.linalg.solve(matrix[:, :2], moved.T).T, np.float64)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fit a least-squares similarity (rotation, uniform scale, shift; never a reflection) from source to target points.

    The 2-D case of Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991:
    with both sets centred, ``a = sum(s . t) / sum(s . s)`` and ``b = sum(s x t) / sum(s . s)`` give the linear part
    ``[[a, -b], [b, a]]``. All points have equal weight; none is dropped as an outlier.

    Args:
        source: (n, 2) points, n >= 2, not all equal.
        target: (n, 2) points.

    Returns:
        (2, 3) float64 matrix: ``target = matrix[:, :2] @ source + matrix[:, 2]``.

    Raises:
        DataError: the points are not finite, coincide, or define no similarity.
    """
    start, goal = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if start.shape != goal.shape or start.ndim != 2 or start.shape[1] != 2 or len(start) < 2:
        raise DataError(
            f"points of shape {start.shape} and {goal.shape} cannot be aligned", "both must be (n, 2), n >= 2"
        )
    if not (np.isfinite(start).all() and np.isfinite(goal).all()):
        raise DataError("points that are not finite cannot be aligned", "check the landmarks of this face")
    start_centre, goal_centre = start.mean(axis=0), goal.mean(axis=0)
    s, t = start - start_centre, goal - goal_centre
    variance = float((s * s).sum())
    a = float((s * t).sum())
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum())
    if variance <= 0 or a * a + b * b <= 0:
        raise DataError("points that coincide cannot be aligned", "check the landmarks of this face")
    linear = np.array([[a, -b], [b, a]]) / variance
    return np.column_stack([linear, goal_centre - linear @ start_centre])


def scale_of(matrix: NDArray[np.floating]) -> float:
    """Return the crop pixels per source pixel of a (2, 3) matrix: the square root of its absolute determinant."""
    linear = np.asarray(matrix, np.float64)[:, :2]
    return float(np.sqrt(abs(np.linalg.det(linear))))


def check_size(size: int) -> None:
    """Raise unless a crop size is positive.

    Raises:
        UsageError: it is not.
    """
    if size < 1:
        raise UsageError(f"a crop size must be positive, not {size}", "for example 224")
