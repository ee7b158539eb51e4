"""The similarity that carries one set of points onto another, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity (rotation, uniform scale, shift; never a reflection) from source to target points.

    The 2-D case of Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991:
    with both sets centred, ``a = sum(s . t) / sum(s . s)`` and ``b = sum(s x t) / sum(s . s)`` give the linear part
    ``[[a, -b], [b, a]]``. All points count alike; nothing is dropped as an outlier.

    Args:
        source: (n, 2) points, n >= 2, not all equal.
        target: (n, 2) points.

    Returns:
        (2, 3) float64 matrix: ``target = matrix[:, :2] @ source + matrix[:, 2]``.

    Raises:
        DataError: the points are not finite, fall together, or carry no similarity.
    """
    start, goal = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if start.shape != goal.shape or start.ndim != 2 or start.shape[1] != 2 or len(start) < 2:
        raise DataError(
            f"points of shape {start.shape} and {goal.shape} can not be aligned", "both must be (n, 2), n >= 2"
        )
    if not (np.isfinite(start).all() and np.isfinite(goal).all()):
        raise DataError("points that are not finite can not be aligned", "look at the landmarks of this face")
    start_centre, goal_centre = start.mean(axis=0), goal.mean(axis=0)
    s, t = start - start_centre, goal - goal_centre
    spread = float((s * s).sum())
    a = float((s * t).sum())
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum())
    if spread <= 0 or a * a + b * b <= 0:
        raise DataError("points that fall together can not be aligned", "look at the landmarks of this face")
    linear = np.array([[a, -b], [b, a]]) / spread
    return np.column_stack([linear, goal_centre - linear @ start_centre])


def scale_of(matrix: NDArray[np.floating]) -> float:
    """Crop pixels per source pixel of a (2, 3) matrix: the square root of its determinant's absolute value."""
    linear = np.asarray(matrix, np.float64)[:, :2]
    return float(np.sqrt(abs(np.linalg.det(linear))))
