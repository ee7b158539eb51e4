"""Filters over a neighbourhood: mean, median, Gaussian and motion blur, sharpening.

All of them mirror the picture at its border without repeating the border pixel, except the median, which repeats it:
OpenCV's only choice there.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

_BORDER = cv2.BORDER_REFLECT_101
_SHARE = 4096
"""Kernels of whole numbers with this sum keep every intermediate value exact in float32."""


def mean(image: Image, values: Values, draw: Draw) -> Image:
    """Mean over a square window."""
    side = int(values["k"])
    return np.asarray(cv2.blur(image, (side, side), borderType=_BORDER), np.uint8)


def median(image: Image, values: Values, draw: Draw) -> Image:
    """Median over a square window, each channel by itself."""
    return np.asarray(cv2.medianBlur(image, int(values["k"])), np.uint8)


def gaussian_blur(image: Image, values: Values, draw: Draw) -> Image:
    """Gaussian blur; the kernel reaches four sigma."""
    return _gaussian(image, float(values["sigma"]))


def motion_blur(image: Image, values: Values, draw: Draw) -> Image:
    """Mean along a straight line, as of a camera that moves evenly while the shutter is open."""
    kernel = _line(float(values["length"]), float(values["angle"]))
    total = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=_BORDER)
    # The sums are whole numbers; rounding them first makes the result independent of how they were added up.
    return ((np.rint(total).astype(np.int32) + _SHARE // 2) // _SHARE).astype(np.uint8)


def sharpen(image: Image, values: Values, draw: Draw) -> Image:
    """Unsharp mask: the difference to a blurred copy is added ``amount`` times."""
    blurred = _gaussian(image, float(values["sigma"])).astype(np.float64)
    sharp = image + float(values["amount"]) * (image - blurred)
    return np.clip(np.rint(sharp), 0, 255).astype(np.uint8)


def _gaussian(image: Image, sigma: float) -> Image:
    side = 2 * math.ceil(4 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma, borderType=_BORDER), np.uint8)


@lru_cache(maxsize=64)
def _line(length: float, angle: float) -> NDArray[np.float32]:
    """Kernel of a line through the middle: each pixel weighs by how much of the line lies in it.

    Whole numbers that sum to :data:`_SHARE`: so many points along the line are counted.
    """
    reach = math.ceil(length / 2)
    turn = math.radians(angle)
    along = ((np.arange(_SHARE) + 0.5) / _SHARE - 0.5) * length
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
    "Pixels of the picture it acts on: the same number is a harder test on a crop than on the frame it was cut from."
)

MEAN = Degradation(
    name="mean",
    group="blur",
    summary="mean over a square window",
    parameters=(_window(5),),
    levels=_WINDOWS,
    rule="every odd window from the smallest",
    source="ME5 is a condition of GRnet (arXiv 2205.00753); the border rule is OpenCV's, since the paper names none",
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
        Parameter("angle", "degrees against the horizontal, counter-clockwise", 0, -180, 180),
    ),
    levels=(3, 4.5, 7, 12, 21),
    rule="about equal steps of mean PSNR on mini faces (tools/degradations.py)",
    source="textbook linear motion: each pixel weighs by how much of the line lies in it",
    note=_PIXELS,
    on_image=motion_blur,
)
SHARPEN = Degradation(
    name="sharpen",
    group="tone",
    summary="unsharp mask",
    parameters=(
        Parameter("amount", "how many times the difference to the blurred picture is added", 1, 0.1, 20),
        Parameter("sigma", "of the blurred picture, in pixels", 1, 0.2, 20),
    ),
    levels=(0.5, 1, 2, 4, 8),
    rule="doubling: about equal steps of mean PSNR on mini faces (tools/degradations.py)",
    source="textbook unsharp masking",
    on_image=sharpen,
)
