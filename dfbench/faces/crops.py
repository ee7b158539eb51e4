"""Crop a face from a frame with one antialiased resampling rule, continuous in scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.faces.align import scale_of
from dfbench.faces.regions import Rectangle

_CUBIC_REACH = 3
"""Pixels needed around a sampled point: two for the cubic kernel, one for rounding."""


Resampling = Literal["antialiased", "bilinear-black", "stretched"]
"""How the pixels of a crop are computed: by dfbench's rule, or as ``cv2.warpAffine`` does by default."""


def crop(
    image: NDArray[np.uint8], matrix: NDArray[np.floating], size: int, resampling: Resampling = "antialiased"
) -> NDArray[np.uint8]:
    """Resample a square crop.

    ``antialiased``: the frame is averaged over squares as wide as one crop pixel (``1 / scale`` source pixels, with
    fractional weights; no averaging at a scale of 1 and above), then sampled by cubic convolution. The width of the
    average goes to one pixel as the scale goes to 1, so there is no threshold between two methods. Beyond the frame
    its border pixels are replicated. ``bilinear-black``: bilinear interpolation of the nearest four pixels at any
    scale, black beyond the frame, for crops that must equal those of a reference implementation. ``stretched``: the
    whole pixels that the crop shows, resized to the square by :func:`stretched`, for the same purpose; beyond the frame
    its border pixels are replicated.

    Args:
        image: uint8 (height, width, 3), RGB.
        matrix: (2, 3), source to crop pixels, a similarity; for ``stretched``, upright, and of its own scale in each
            direction. Pixel centres are at whole numbers on both sides, as
            in ``cv2.warpAffine``: crop pixel (0, 0) shows the source point that the matrix maps to (0, 0).
        size: side of the crop in pixels.
        resampling: the resampling rule.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        DataError: the image is not such an array, or the matrix is not finite or singular.
        UsageError: the size is not positive.
    """
    pixels, _ = crop_region(whole(image), matrix, size, resampling)
    return pixels


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of a frame and its position in the frame.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        left: column of the frame at which it starts.
        top: row of the frame at which it starts.
        frame_width: width of the whole frame in pixels.
        frame_height: height of the whole frame in pixels.
    """

    pixels: NDArray[np.uint8]
    left: int
    top: int
    frame_width: int
    frame_height: int


def whole(image: NDArray[np.uint8]) -> Region:
    """Return a frame as a region that covers all of it.

    Raises:
        DataError: it is not uint8 (height, width, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"a frame must be uint8 (height, width, 3), not {image.dtype} {image.shape}", "convert it first"
        )
    # OpenCV does not accept mirrored views.
    return Region(np.ascontiguousarray(image), 0, 0, image.shape[1], image.shape[0])


def crop_region(
    region: Region, matrix: NDArray[np.floating], size: int, resampling: Resampling = "antialiased"
) -> tuple[NDArray[np.uint8], bool]:
    """Resample the crop of a frame of which only a region is available; see :func:`crop`.

    Returns:
        The crop, and whether the region covers all pixels of the frame that it depends on: then it is identical to the
        crop from the whole frame. Where the region ends inside the frame, its border pixels are replicated.
    """
    transform = _checked(matrix, size)
    if resampling == "stretched":
        pixels, covered = _patch(region, _shown(transform, size), cv2.BORDER_REPLICATE)
        return stretched(pixels, size), covered
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
    # Values are not rounded between the two steps.
    smooth = cv2.sepFilter2D(patch, cv2.CV_32F, kernel, kernel, borderType=border)
    sampled = cv2.warpAffine(smooth, shifted, (size, size), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.clip(np.rint(sampled), 0, 255).astype(np.uint8), covered


def source_rectangle(
    matrix: NDArray[np.floating], size: int, resampling: Resampling, width: int, height: int
) -> tuple[int, int, int, int]:
    """Return the rectangle of a frame that a crop depends on, with a small margin.

    Args:
        matrix: (2, 3), source to crop pixels.
        size: side of the crop in pixels.
        resampling: the resampling rule.
        width: width of the frame in pixels.
        height: height of the frame in pixels.

    Returns:
        x1 y1 x2 y2 within the frame, x2 and y2 exclusive. A region with all of these pixels gives the same crop as the
        whole frame.

    Raises:
        DataError: the matrix is not finite or singular.
        UsageError: the size is not positive.
    """
    transform = _checked(matrix, size)
    if resampling == "stretched":
        return _within(_shown(transform, size), width, height)
    return _within(_needed(transform, size, len(_kernel(transform, resampling)), width, height), width, height)


def stretched(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an image as a square of ``size`` pixels, whatever its shape: bilinear, without averaging, as OpenCV does.

    Args:
        image: uint8 (height, width, 3).
        size: side of the square in pixels.
    """
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def stretch(rectangle: Rectangle, size: int) -> NDArray[np.float64]:
    """Return the map (2, 3) of a rectangle of a frame in whole pixels onto a square crop of ``size`` pixels.

    The outer edges of the rectangle become those of the crop.

    >>> stretch((10, 20, 14, 28), 4)
    array([[  1.  ,   0.  , -10.  ],
           [  0.  ,   0.5 , -10.25]])
    """
    x1, y1, x2, y2 = rectangle
    across, down = size / (x2 - x1), size / (y2 - y1)
    return np.array([[across, 0.0, (0.5 - x1) * across - 0.5], [0.0, down, (0.5 - y1) * down - 0.5]])


def averaging_kernel(scale: float) -> NDArray[np.float64]:
    """Return the weights of an average over ``max(1, 1 / scale)`` pixels; the outer two have fractional weights.

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
    """Return left, top, right, bottom of what a crop depends on; beyond the frame by a margin at most."""
    margin = kernel // 2 + _CUBIC_REACH
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    last = size - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]]) @ inverse[:, :2].T + inverse[:, 2]
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin + 1
    # Beyond the border by more than the margin all pixels are equal, averaged or not.
    left, right = _span(low[0], high[0], width, margin)
    top, bottom = _span(low[1], high[1], height, margin)
    return left, top, right, bottom


def _shown(matrix: NDArray[np.float64], size: int) -> _Span:
    """Return the whole pixels that an upright crop shows; the inverse of :func:`stretch`.

    Raises:
        DataError: the matrix turns the frame.
    """
    (across, turn_x, left), (turn_y, down, top) = matrix
    if turn_x or turn_y or across <= 0 or down <= 0:
        raise DataError(f"a stretched crop is upright, not {matrix.tolist()}", "use another resampling")
    x1, y1 = (0.5 - (left + 0.5) / across), (0.5 - (top + 0.5) / down)
    x, y = math.floor(x1 + 0.5), math.floor(y1 + 0.5)
    return x, y, x + max(1, round(size / across)), y + max(1, round(size / down))


def _within(span: _Span, width: int, height: int) -> _Span:
    left, top, right, bottom = span
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def _patch(region: Region, span: _Span, border: int) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels of a span, padded beyond the frame; and whether the region covers those in the frame."""
    left, top, right, bottom = span
    width, height = region.frame_width, region.frame_height
    inner, covered = _cut(region, *_within(span, width, height))
    borders = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(borders):
        inner = np.asarray(cv2.copyMakeBorder(inner, *borders, border), np.uint8)
    return inner, covered


def _cut(region: Region, left: int, top: int, right: int, bottom: int) -> tuple[NDArray[np.uint8], bool]:
    """Return a rectangle of the frame, padded where the region lacks it; and whether the region covers it."""
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
    """Return whole pixels from low to high, within the frame and a margin, at least one of them in the frame."""
    start = math.floor(min(max(low, -margin), length - 1))
    stop = math.ceil(max(min(high, length + margin), 1))
    return start, stop


def _checked(matrix: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    if size < 1:
        raise UsageError(f"a crop size must be positive, not {size}", "for example 224")
    transform = np.asarray(matrix, np.float64)
    if transform.shape != (2, 3) or not np.isfinite(transform).all() or not scale_of(transform) > 0:
        raise DataError(
            f"a crop needs a finite, non-singular (2, 3) matrix, not {transform.tolist()}", "align the face again"
        )
    return transform
