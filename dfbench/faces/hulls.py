"""Masks of a face from its dense landmarks: unions of convex hulls, filled exactly.

A pixel belongs to a hull if its centre lies inside or on the border; pixel centres are at whole numbers. The regions
are composed here from the landmark numbering. They cover what the regions of the same kinds in published blending code
cover, which is under another licence and was not used; their outlines differ in detail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.faces.landmark_sets import (
    JAW,
    LEFT_BROW,
    LEFT_EYE,
    MOUTH,
    NOSE_BASE,
    NOSE_BRIDGE,
    PARTS,
    RIGHT_BROW,
    RIGHT_EYE,
)

__all__ = ["HULLS", "face_mask", "fill_convex", "hull_regions"]

Points = NDArray[np.float64]

BROW_LIFT = 1.0
"""How far ``extended`` moves the brows up, in distances from the middle of the eyes to the middle of the brows."""

_CHIN = slice(8, 9)


def fill_convex(points: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels lie in the convex hull of some points.

    Args:
        points: (n, 2), x y in pixels; at least one, inside or outside the image.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        bool (height, width).
    """
    hull = np.asarray(cv2.convexHull(np.asarray(points, np.float32)), np.float64)[:, 0]
    # Along each row, the hull is the interval between the smallest and the largest x at which its border is there.
    first = np.full(height, np.inf)
    last = np.full(height, -np.inf)
    rows = np.arange(height)
    for (xa, ya), (xb, yb) in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        here = rows[(rows >= min(ya, yb)) & (rows <= max(ya, yb))]
        crossings = [xa, xb] if ya == yb else [xa + (here - ya) / (yb - ya) * (xb - xa)]
        for x in crossings:
            first[here] = np.minimum(first[here], x)
            last[here] = np.maximum(last[here], x)
    columns = np.arange(width)
    inside: NDArray[np.bool_] = (columns >= first[:, None]) & (columns <= last[:, None])
    return inside


def _take(points: Points, *slices: slice) -> Points:
    return np.concatenate([points[part] for part in slices])


def _whole(points: Points) -> list[Points]:
    return [points]


def _full(points: Points) -> list[Points]:
    """The lower face, the nose, and the band of eyes and brows: concave at the temples."""
    return [
        _take(points, JAW, MOUTH),
        _take(points, NOSE_BRIDGE, NOSE_BASE),
        _take(points, LEFT_BROW, RIGHT_BROW, LEFT_EYE, RIGHT_EYE, slice(0, 1), slice(16, 17)),
    ]


def _components(points: Points) -> list[Points]:
    """The two sides of the face and its middle, which share the chin."""
    return [
        _take(points, slice(0, 9), LEFT_BROW, NOSE_BRIDGE),
        _take(points, slice(8, 17), RIGHT_BROW, NOSE_BRIDGE),
        _take(points, slice(20, 24), LEFT_EYE, RIGHT_EYE, NOSE_BASE, MOUTH, _CHIN),
    ]


def _extended(points: Points) -> list[Points]:
    """The components with the brows moved up onto the forehead."""
    eyes = _take(points, LEFT_EYE, RIGHT_EYE).mean(axis=0)
    brows = _take(points, LEFT_BROW, RIGHT_BROW).mean(axis=0)
    lifted = points.copy()
    lifted[17:27] += BROW_LIFT * (brows - eyes)
    return [*_components(points), *_components(lifted)]


HULLS: Mapping[str, Callable[[Points], list[Points]]] = MappingProxyType(
    {"full": _full, "extended": _extended, "components": _components, "hull": _whole}
)
"""Kinds of masks. ``hull`` is the convex hull of all landmarks; the others use the 68 parts alone."""


def hull_regions(points: NDArray[np.floating], kind: str) -> list[Points]:
    """Return the points of each hull of a mask.

    Args:
        points: (68, 2) or (81, 2) in common form, see :func:`dfbench.faces.landmark_sets.common_landmarks`.
        kind: one of :data:`HULLS`.

    Raises:
        UsageError: an unknown kind.
        DataError: fewer than 68 points.
    """
    if kind not in HULLS:
        raise UsageError(f"unknown kind of mask {kind!r}", f"use one of {', '.join(HULLS)}")
    if len(points) < PARTS:
        raise DataError(f"a mask needs at least {PARTS} landmarks, not {len(points)}", "prepare with --landmarks")
    return HULLS[kind](np.asarray(points, np.float64))


def face_mask(points: NDArray[np.floating], height: int, width: int, kind: str = "hull") -> NDArray[np.bool_]:
    """Return the mask of a face.

    Args:
        points: (68, 2) or (81, 2) in common form, x y in pixels.
        height: of the image in pixels.
        width: of the image in pixels.
        kind: one of :data:`HULLS`.

    Returns:
        bool (height, width); empty where the face lies outside the image.

    Raises:
        UsageError: an unknown kind.
        DataError: fewer than 68 points.
    """
    mask = np.zeros((height, width), np.bool_)
    for region in hull_regions(points, kind):
        mask |= fill_convex(region, height, width)
    return mask
