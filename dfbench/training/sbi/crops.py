"""The two crops of self-blended images: around the landmarks before blending, around the face box at the end.

The final crop of validation and test is the crop profile ``sbi``; see :mod:`dfbench.faces.reference_profiles`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.faces.landmark_sets import PARTS
from dfbench.faces.regions import Rectangle, clipped

SIDE_MARGIN = 1 / 2
"""First crop: margin to the left and right, in widths of the landmarks' box (published as w / 8 times 4)."""

TOP_MARGIN = 1.0
"""First crop: margin above, in heights of the landmarks' box (h / 2 times 2)."""

BOTTOM_MARGIN = 2 / 5
"""First crop: margin below, in heights of the landmarks' box (h / 5 times 2)."""

TRAINING_FACTORS = (0.2, 0.8)
"""Range of the factors of :func:`dfbench.faces.regions.face_region`, drawn for each side."""


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
