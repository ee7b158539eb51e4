"""Filters over a neighbourhood: mean, median, Gaussian and motion blur, sharpening.

All of them mirror the image at its border without repeating the border pixel, except the median, which repeats it
because OpenCV supports nothing else.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

_BORDER = cv2.BORDER_REFLECT_101
_WEIGHT_SUM = 4096
"""Sum of integer kernels; with it, every intermediate value is exact in float32."""


def mean(image: Image, values: Values, draw: Draw) -> Image:
    """Average over a square window."""
    side = int(values["k"])
    return np.asarray(cv2.blur(image, (side, side), borderType=_BORDER), np.uint8)


def median(image: Image, values: Values, draw: Draw) -> Image:
    """Take the median over a square window, separately for each channel."""
    return np.asarray(cv2.medianBlur(image, int(values["k"])), np.uint8)


def gaussian_blur(image: Image, values: Values, draw: Draw) -> Image:
    """Apply Gaussian blur; the kernel is truncated at four sigma."""
    return _gaussian(image, float(values["sigma"]))


def motion_blur(image: Image, values: Values, draw: Draw) -> Image:
    """Average along a straight line, as for a camera that moves at constant speed during the exposure."""
    kernel = _line(float(values["length"]), float(values["angle"]))
    total = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=_BORDER)
    # The sums are integers; rounding them first makes the result independent of the order of summation.
    return ((np.rint(total).astype(np.int32) + _WEIGHT_SUM // 2) // _WEIGHT_SUM).astype(np.uint8)


def sharpen(image: Image, values: Values, draw: Draw) -> Image:
    """Apply an unsharp mask: add ``amount`` times the difference to a blurred copy."""
    blurred = _gaussian(image, float(values["sigma"])).astype(np.float64)
    sharp = image + float(values["amount"]) * (image - blurred)
    return np.clip(np.rint(sharp), 0, 255).astype(np.uint8)


def _gaussian(image: Image, sigma: float) -> Image:
    side = 2 * math.ceil(4 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma, borderType=_BORDER), np.uint8)


@lru_cache(maxsize=64)
def _line(length: float, angle: float) -> NDArray[np.float32]:
    """Return the kernel of a line through the centre; a pixel's weight is the length of the line in it.

    Weights are integers that sum to :data:`_WEIGHT_SUM`, the number of points along the line that are counted.
    """
    reach = math.ceil(length / 2)
    turn = math.radians(angle)
    along = ((np.arange(_WEIGHT_SUM) + 0.5) / _WEIGHT_SUM - 0.5) * length
    columns = np.floor(reach + along * math.cos(turn) + 0.5).astype(int)
    rows = np.floor(reach - along * math.sin(turn) + 0.5).astype(int)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    np.add.at(kernel, (rows, columns), 1)
    return kernel


def _window(default: int) -> Parameter:
    return Parameter("k", "side of the window in pixels", default, 3, 99, whole=True, odd=True)


_WINDOWS = (3, 5, 7, 9, 11)
_DEEPER = "DeeperForensics-1.0, perturbation/add_distortion_to_video.py"
_PIXELS = (
    "In pixels of the degraded image: the same value is a harder test on a crop than on the frame it was cut from."
)

MEAN = Degradation(
    name="mean",
    group="blur",
    summary="mean over a square window",
    parameters=(_window(5),),
    levels=_WINDOWS,
    rule="every odd window from the smallest",
    source="ME5 is a condition of GRnet (arXiv 2205.00753); the border rule, not given in the paper, is OpenCV's",
    note=_PIXELS,
    on_image=mean,
)
MEDIAN = Degradation(
    name="median",
    group="blur",
    summary="median over a square window",
    parameters=(_window(5),),
    levels=_WINDOWS,
    rule="every odd window from the smallest",
    source="OpenCV medianBlur",
    note=_PIXELS,
    on_image=median,
)
GAUSSIAN_BLUR = Degradation(
    name="gaussian-blur",
    group="blur",
    summary="Gaussian blur",
    parameters=(Parameter("sigma", "standard deviation in pixels", 1.5, 0.2, 20),),
    levels=(1.17, 1.5, 2.17, 2.83, 3.5),
    rule="the levels of DeeperForensics-1.0: windows of 7, 9, 13, 17, 21 pixels with sigma a sixth of them",
    source=_DEEPER,
    note=_PIXELS,
    on_image=gaussian_blur,
)
MOTION_BLUR = Degradation(
    name="motion-blur",
    group="blur",
    summary="mean along a straight line",
    parameters=(
        Parameter("length", "length of the line in pixels", 9, 1, 99),
        Parameter("angle", "angle to the horizontal in degrees, counter-clockwise", 0, -180, 180),
    ),
    levels=(3, 4.5, 7, 12, 21),
    rule="approximately equal steps of mean PSNR on mini faces (tools/degradations.py)",
    source="textbook linear motion: weights are the lengths of the line in each pixel",
    note=_PIXELS,
    on_image=motion_blur,
)
SHARPEN = Degradation(
    name="sharpen",
    group="tone",
    summary="unsharp mask",
    parameters=(
        Parameter("amount", "factor of the difference to the blurred image that is added", 1, 0.1, 20),
        Parameter("sigma", "standard deviation of the blur in pixels", 1, 0.2, 20),
    ),
    levels=(0.5, 1, 2, 4, 8),
    rule="doubling: approximately equal steps of mean PSNR on mini faces (tools/degradations.py)",
    source="textbook unsharp masking",
    on_image=sharpen,
)
