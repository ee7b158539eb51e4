"""Cut a face out of a frame with one antialiased resampling rule, continuous in scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.faces.align import scale_of

_CUBIC_REACH = 3
"""Pixels around a sampled point that must be right: two for the cubic kernel, one for rounding."""


Resampling = Literal["antialiased", "bilinear-black"]
"""How a crop's pixels are made: by our rule, or as ``cv2.warpAffine`` does by default."""


def crop(
    image: NDArray[np.uint8], matrix: NDArray[np.floating], size: int, resampling: Resampling = "antialiased"
) -> NDArray[np.uint8]:
    """Resample a square crop.

    ``antialiased``: the frame is averaged over squares as wide as one crop pixel (``1 / scale`` source pixels, a
    fraction counting as such; nothing at a scale of 1 and above), then sampled by cubic convolution. The width of the
    average goes to one pixel, which is no average at all, as the scale goes to 1: no size is treated by another
    method. Beyond the frame its border pixels go on. ``bilinear-black``: bilinear interpolation of the nearest four
    pixels at any scale, black beyond the frame, for crops that must be like a peer's.

    Args:
        image: uint8 (height, width, 3), RGB.
        matrix: (2, 3), source to crop pixels, a similarity. Pixel centres lie at whole numbers on both sides, as
            in ``cv2.warpAffine``: crop pixel (0, 0) shows the source point that the matrix carries to (0, 0).
        size: side of the crop in pixels.
        resampling: the rule.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        DataError: the image is not such an array, or the matrix is not finite or collapses the plane.
        UsageError: the size is not positive.
    """
    picture, _ = crop_region(whole(image), matrix, size, resampling)
    return picture


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of a frame, with its place in it.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        left: column of the frame that its first column is.
        top: row of the frame that its first row is.
        frame_width: width of the whole frame.
        frame_height: height of the whole frame.
    """

    pixels: NDArray[np.uint8]
    left: int
    top: int
    frame_width: int
    frame_height: int


def whole(image: NDArray[np.uint8]) -> Region:
    """A frame as a region of itself.

    Raises:
        DataError: it is not uint8 (height, width, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"a frame must be uint8 (height, width, 3), not {image.dtype} {image.shape}", "convert it first"
        )
    # OpenCV takes no mirrored views.
    return Region(np.ascontiguousarray(image), 0, 0, image.shape[1], image.shape[0])


def crop_region(
    region: Region, matrix: NDArray[np.floating], size: int, resampling: Resampling = "antialiased"
) -> tuple[NDArray[np.uint8], bool]:
    """The crop of a frame of which only a region is at hand; see :func:`crop`.

    Returns:
        The crop, and whether the region covers all pixels of the frame that it is made from: then it is the same, bit
        by bit, as from the whole frame. Where the region ends within the frame, its border pixels go on.
    """
    transform = _checked(matrix, size)
    antialiased = resampling == "antialiased"
    kernel = _kernel(transform, resampling)
    border = cv2.BORDER_REPLICATE if antialiased else cv2.BORDER_CONSTANT
    span = _needed(transform, size, len(kernel), region.frame_width, region.frame_height)
    patch, covered = _patch(region, span, border)
    shifted = transform.copy()
    shifted[:, 2] += transform[:, :2] @ (span[0], span[1])
    if not antialiased:
        linear = cv2.warpAffine(patch, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(linear, np.uint8), covered
    # Between the two steps values stay unrounded.
    smooth = cv2.sepFilter2D(patch, cv2.CV_32F, kernel, kernel, borderType=border)
    sampled = cv2.warpAffine(smooth, shifted, (size, size), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.clip(np.rint(sampled), 0, 255).astype(np.uint8), covered


def source_rectangle(
    matrix: NDArray[np.floating], size: int, resampling: Resampling, width: int, height: int
) -> tuple[int, int, int, int]:
    """The pixels of a frame that decide a crop, with a little to spare.

    Args:
        matrix: (2, 3), source to crop pixels.
        size: side of the crop in pixels.
        resampling: the rule.
        width: of the frame in pixels.
        height: of the frame in pixels.

    Returns:
        x1 y1 x2 y2 within the frame, x2 and y2 left out. A region with all of these gives the whole frame's crop.

    Raises:
        DataError: the matrix is not finite or collapses the plane.
        UsageError: the size is not positive.
    """
    transform = _checked(matrix, size)
    return _within(_needed(transform, size, len(_kernel(transform, resampling)), width, height), width, height)


def averaging_kernel(scale: float) -> NDArray[np.float64]:
    """Weights of an average over ``max(1, 1 / scale)`` pixels: whole pixels count fully, the outer two by their share.

    >>> averaging_kernel(1.0)
    array([1.])
    >>> averaging_kernel(0.5)
    array([0.25, 0.5 , 0.25])
    """
    width = max(1.0, 1.0 / scale)
    reach = math.ceil((width - 1) / 2)
    centres = np.arange(-reach, reach + 1)
    covered = np.minimum(centres + 0.5, width / 2) - np.maximum(centres - 0.5, -width / 2)
    return np.asarray(covered / covered.sum(), np.float64)


_Span = tuple[int, int, int, int]


def _kernel(transform: NDArray[np.float64], resampling: Resampling) -> NDArray[np.float64]:
    return averaging_kernel(scale_of(transform)) if resampling == "antialiased" else np.ones(1)


def _needed(matrix: NDArray[np.float64], size: int, kernel: int, width: int, height: int) -> _Span:
    """Left, top, right, bottom of what a crop is made from; beyond the frame by a margin at most."""
    margin = kernel // 2 + _CUBIC_REACH
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    last = size - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]]) @ inverse[:, :2].T + inverse[:, 2]
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin + 1
    # Further than the margin beyond the border nothing changes any more, averaged or not.
    left, right = _span(low[0], high[0], width, margin)
    top, bottom = _span(low[1], high[1], height, margin)
    return left, top, right, bottom


def _within(span: _Span, width: int, height: int) -> _Span:
    left, top, right, bottom = span
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def _patch(region: Region, span: _Span, border: int) -> tuple[NDArray[np.uint8], bool]:
    """The pixels of a span, continued beyond the frame's border; and whether the region has those in the frame."""
    left, top, right, bottom = span
    width, height = region.frame_width, region.frame_height
    inner, covered = _cut(region, *_within(span, width, height))
    borders = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(borders):
        inner = np.asarray(cv2.copyMakeBorder(inner, *borders, border), np.uint8)
    return inner, covered


def _cut(region: Region, left: int, top: int, right: int, bottom: int) -> tuple[NDArray[np.uint8], bool]:
    """A rectangle of the frame, and whether the region has all of it; what it lacks, its border continues."""
    height, width = region.pixels.shape[:2]
    x1, y1, x2, y2 = left - region.left, top - region.top, right - region.left, bottom - region.top
    covered = x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height
    if covered:
        inner = region.pixels[y1:y2, x1:x2]
    else:
        rows = np.clip(np.arange(y1, y2), 0, height - 1)
        inner = region.pixels[np.ix_(rows, np.clip(np.arange(x1, x2), 0, width - 1))]
    return inner, covered


def _span(low: float, high: float, length: int, margin: int) -> tuple[int, int]:
    """Whole pixels from low to high, within the frame and a margin, at least one of them in the frame."""
    start = math.floor(min(max(low, -margin), length - 1))
    stop = math.ceil(max(min(high, length + margin), 1))
    return start, stop


def _checked(matrix: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    if size < 1:
        raise UsageError(f"a crop needs a positive size, not {size}", "for example 224")
    transform = np.asarray(matrix, np.float64)
    if transform.shape != (2, 3) or not np.isfinite(transform).all() or not scale_of(transform) > 0:
        raise DataError(
            f"a crop needs a finite (2, 3) matrix that keeps the plane, not {transform.tolist()}", "align again"
        )
    return transform
