"""Rectangles of a frame in whole pixels: a face box, or the box of landmarks, with margins, clipped to the frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.landmark_sets import PARTS

Rectangle = tuple[int, int, int, int]
"""x1 y1 x2 y2 in whole pixels; x2 and y2 are the first ones outside."""

FACE_MARGIN = 1 / 4
"""Margin of self-blended images on every side of the face box, in its widths and heights, before a factor."""

TEST_FACTOR = 0.5
"""Factor of those margins in validation and test."""

SIDE_MARGIN = 1 / 2
"""First crop of self-blended images: margin to the left and right, in widths of the landmarks' box (w / 8 times 4)."""

TOP_MARGIN = 1.0
"""First crop of self-blended images: margin above, in heights of the landmarks' box (h / 2 times 2)."""

BOTTOM_MARGIN = 2 / 5
"""First crop of self-blended images: margin below, in heights of the landmarks' box (h / 5 times 2)."""

TRAINING_FACTORS = (0.2, 0.8)
"""Range of the factors of :func:`face_region`, drawn for each side."""


def face_region(
    box: NDArray[np.floating],
    height: int,
    width: int,
    factors: tuple[float, float, float, float] = (TEST_FACTOR, TEST_FACTOR, TEST_FACTOR, TEST_FACTOR),
) -> Rectangle:
    """Return the face box and its margins, clipped to the image: the final crop of self-blended images.

    Args:
        box: (4,) x1 y1 x2 y2 in pixels.
        height: of the image in pixels.
        width: of the image in pixels.
        factors: of the margins on the left, top, right and bottom.

    Raises:
        DataError: the region lies outside the image, or the box is not finite.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    w, h = FACE_MARGIN * (x2 - x1), FACE_MARGIN * (y2 - y1)
    left, top, right, bottom = factors
    return clipped((x1 - left * w, y1 - top * h, x2 + right * w, y2 + bottom * h), height, width)


def clipped(edges: tuple[float, float, float, float], height: int, width: int) -> Rectangle:
    """Return the pixels of an image between edges x1 y1 x2 y2; the pixel in which an edge lies belongs to them.

    >>> clipped((1.5, -3.0, 7.0, 9.9), 8, 100)
    (1, 0, 8, 8)

    Raises:
        DataError: there are none, or an edge is not finite.
    """
    if not np.isfinite(edges).all():
        raise DataError(f"a face region {edges} is not finite", "prepare this manifest again")
    x1, y1 = max(int(np.floor(edges[0])), 0), max(int(np.floor(edges[1])), 0)
    x2, y2 = min(int(np.floor(edges[2])) + 1, width), min(int(np.floor(edges[3])) + 1, height)
    if x1 >= x2 or y1 >= y2:
        raise DataError("the face lies outside the image", "check this face's detection: dfbench inspect")
    return x1, y1, x2, y2


def covers(outer: Rectangle, inner: Rectangle) -> bool:
    """Whether one rectangle contains another.

    >>> covers((0, 0, 10, 10), (2, 2, 10, 8)), covers((0, 0, 10, 10), (2, 2, 11, 8))
    (True, False)
    """
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def landmark_region(points: NDArray[np.floating], height: int, width: int) -> Rectangle:
    """Return the first crop: the box of the 68 parts and its margins, clipped to the image.

    Args:
        points: (68, 2) or (81, 2) in common form, x y in pixels.
        height: of the image in pixels.
        width: of the image in pixels.

    Raises:
        DataError: the region lies outside the image.
    """
    (x1, y1), (x2, y2) = points[:PARTS].min(axis=0), points[:PARTS].max(axis=0)
    w, h = x2 - x1, y2 - y1
    return clipped(
        (x1 - SIDE_MARGIN * w, y1 - TOP_MARGIN * h, x2 + SIDE_MARGIN * w, y2 + BOTTOM_MARGIN * h), height, width
    )


def draw_factors(generator: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw the factors of the margins of a training crop: left, top, right, bottom, independently."""
    left, top, right, bottom = generator.uniform(*TRAINING_FACTORS, size=4).tolist()
    return left, top, right, bottom
