"""Numberings of dense landmarks: iBUG's 68 parts, dlib's 81, MediaPipe's 468 vertices, and their common form.

The common form has the 68 parts first, numbered from 0, and behind them, where the set has a forehead, 13 points along
its hairline from the image's left to its right. Left and right are those of the image throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError

__all__ = ["FOREHEAD", "MESH_FOREHEAD", "MESH_TO_PARTS", "PARTS", "common_landmarks", "mirrored_landmarks"]

PARTS = 68
WITH_FOREHEAD = 81
MESH = 468

JAW = slice(0, 17)
LEFT_BROW = slice(17, 22)
RIGHT_BROW = slice(22, 27)
NOSE_BRIDGE = slice(27, 31)
NOSE_BASE = slice(31, 36)
LEFT_EYE = slice(36, 42)
RIGHT_EYE = slice(42, 48)
MOUTH = slice(48, 68)
FOREHEAD = slice(68, 81)

DLIB_FOREHEAD = (77, 75, 76, 68, 69, 70, 71, 80, 72, 73, 79, 74, 78)
"""Parts of the 81-point file along the hairline, from left to right."""

MESH_FOREHEAD = (162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389)
"""Vertices of the mesh's outline above the temples, from left to right; 10 is in the middle."""

_MESH_PARTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "jaw": (127, 234, 93, 215, 172, 136, 149, 148, 152, 377, 378, 365, 397, 435, 323, 454, 356),
        "left brow": (70, 63, 105, 66, 107),
        "right brow": (336, 296, 334, 293, 300),
        "nose bridge": (168, 197, 5, 4),
        "nose base": (240, 97, 2, 326, 460),
        "left eye": (33, 160, 158, 133, 153, 144),
        "right eye": (362, 385, 387, 263, 373, 380),
        "outer mouth": (61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91),
        "inner mouth": (78, 82, 13, 312, 308, 317, 14, 87),
    }
)
MESH_TO_PARTS: tuple[int, ...] = tuple(vertex for group in _MESH_PARTS.values() for vertex in group)
"""Vertex of the mesh for each of the 68 parts: the vertex of the same name where there is one (eyes, brows, bridge of
the nose, corners of the mouth), elsewhere the pair of mirrored vertices nearest to dlib's parts on 105 portraits."""


def _mirror() -> NDArray[np.intp]:
    """Return the part that each of the 81 points in common form becomes in a mirrored image."""
    order = np.arange(WITH_FOREHEAD)
    for line in (JAW, slice(17, 27), NOSE_BASE, FOREHEAD):
        order[line] = order[line][::-1]
    for left, right in zip((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46), strict=True):
        order[[left, right]] = right, left
    for line in (slice(48, 55), slice(55, 60), slice(60, 65), slice(65, 68)):
        order[line] = order[line][::-1]
    return order.astype(np.intp)


_MIRROR = _mirror()


def common_landmarks(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return dense landmarks in their common form.

    Args:
        points: (68, 2), (81, 2) as dlib's 81-point file numbers them, or (468, 2); x y in pixels.

    Returns:
        float64 (68, 2), or (81, 2) for sets with a forehead.

    Raises:
        DataError: another number of points, or a point that is not finite.
    """
    made = np.asarray(points, np.float64)
    if made.ndim != 2 or made.shape[1:] != (2,) or len(made) not in (PARTS, WITH_FOREHEAD, MESH):
        raise DataError(
            f"dense landmarks of shape {made.shape} have no known numbering",
            "prepare with --landmarks dlib-68, dlib-81, mediapipe or average-face",
        )
    if not np.isfinite(made).all():
        raise DataError("a dense landmark is not finite", "prepare this manifest again")
    if len(made) == WITH_FOREHEAD:
        return np.concatenate((made[:PARTS], made[list(DLIB_FOREHEAD)]))
    if len(made) == MESH:
        return made[[*MESH_TO_PARTS, *MESH_FOREHEAD]]
    return made


def mirrored_landmarks(points: NDArray[np.floating], width: int) -> NDArray[np.float64]:
    """Return landmarks in common form as they are in the image mirrored from left to right.

    Args:
        points: (68, 2) or (81, 2), in common form.
        width: of the image in pixels; column ``x`` becomes ``width - 1 - x``.
    """
    made = np.asarray(points, np.float64)[_MIRROR[: len(points)]]
    made[:, 0] = width - 1 - made[:, 0]
    return made
