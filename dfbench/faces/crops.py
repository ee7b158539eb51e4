"""Cut a face out of a frame with one antialiased resampling rule, continuous in scale."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.faces.align import scale_of

_CUBIC_REACH = 3
"""Pixels around a sampled point that must be right: two for the cubic kernel, one for rounding."""


def crop(image: NDArray[np.uint8], matrix: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """Resample a square crop.

    The frame is averaged over squares as wide as one crop pixel (``1 / scale`` source pixels, a fraction counting as
    such; nothing at a scale of 1 and above), then sampled by cubic convolution. The width of the average goes
    to one pixel, which is no average at all, as the scale goes to 1: no size is treated by another method. Beyond the
    frame its border pixels go on.

    Args:
        image: uint8 (height, width, 3), RGB.
        matrix: (2, 3), source to crop pixels, a similarity. Pixel centres lie at whole numbers on both sides, as
            in ``cv2.warpAffine``: crop pixel (0, 0) shows the source point that the matrix carries to (0, 0).
        size: side of the crop in pixels.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        DataError: the image is not such an array, or the matrix is not finite or collapses the plane.
        UsageError: the size is not positive.
    """
    transform = _checked(image, matrix, size)
    kernel = averaging_kernel(scale_of(transform))
    patch, left, top = _patch(image, transform, size, margin=len(kernel) // 2 + _CUBIC_REACH)
    # Between the two steps values stay unrounded.
    smooth = cv2.sepFilter2D(patch, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    shifted = transform.copy()
    shifted[:, 2] += transform[:, :2] @ (left, top)
    sampled = cv2.warpAffine(smooth, shifted, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(np.rint(sampled), 0, 255).astype(np.uint8)


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


def _patch(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, margin: int
) -> tuple[NDArray[np.uint8], int, int]:
    """The part of the frame that a crop needs, continued beyond the border, with the source place of its corner."""
    if not image.flags.c_contiguous:  # OpenCV takes no mirrored views
        image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    last = size - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]]) @ inverse[:, :2].T + inverse[:, 2]
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin + 1
    # Further than the margin beyond the border nothing changes any more, averaged or not.
    left, right = _span(low[0], high[0], width, margin)
    top, bottom = _span(low[1], high[1], height, margin)
    inner = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    borders = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(borders):
        inner = np.asarray(cv2.copyMakeBorder(inner, *borders, cv2.BORDER_REPLICATE), np.uint8)
    return inner, left, top


def _span(low: float, high: float, length: int, margin: int) -> tuple[int, int]:
    """Whole pixels from low to high, within the frame and a margin, at least one of them in the frame."""
    start = math.floor(min(max(low, -margin), length - 1))
    stop = math.ceil(max(min(high, length + margin), 1))
    return start, stop


def _checked(image: NDArray[np.uint8], matrix: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"a frame must be uint8 (height, width, 3), not {image.dtype} {image.shape}", "convert it first"
        )
    if size < 1:
        raise UsageError(f"a crop needs a positive size, not {size}", "for example 224")
    transform = np.asarray(matrix, np.float64)
    if transform.shape != (2, 3) or not np.isfinite(transform).all() or not scale_of(transform) > 0:
        raise DataError(
            f"a crop needs a finite (2, 3) matrix that keeps the plane, not {transform.tolist()}", "align again"
        )
    return transform
