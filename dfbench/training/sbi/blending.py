"""The soft mask of self-blended images, and the blending of source and target."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfbench.errors import DataError

WORK_SIDES = (192, 256)
"""Range of the height and of the width at which the mask is blurred, both ends included."""

KERNELS = tuple(range(5, 26, 2))
SIGMAS = (5, 45)
"""Range of the standard deviation of the second blur in pixels, both ends included."""

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)

_WHOLE = 1 - 1e-9


@dataclass(frozen=True)
class Softening:
    """How a mask becomes soft.

    Attributes:
        height: at which it is blurred.
        width: at which it is blurred.
        first: side of the first Gaussian kernel in pixels, which decides how much is eroded.
        second: side of the second Gaussian kernel.
        sigma: standard deviation of the second in pixels.
        ratio: weight of the source where the mask is whole.
    """

    height: int
    width: int
    first: int
    second: int
    sigma: int
    ratio: float


def draw_softening(generator: np.random.Generator) -> Softening:
    """Draw how a mask becomes soft."""
    height, width = generator.integers(WORK_SIDES[0], WORK_SIDES[1] + 1, size=2).tolist()
    first, second = generator.choice(KERNELS, size=2).tolist()
    sigma = int(generator.integers(SIGMAS[0], SIGMAS[1] + 1))
    return Softening(height, width, first, second, sigma, float(generator.choice(RATIOS)))


def soft_mask(mask: NDArray[np.bool_], softening: Softening) -> NDArray[np.float64]:
    """Return the weight of the source in each pixel.

    The mask is resized, blurred and eroded to where the blur is whole, blurred again, normalised, resized back and
    multiplied by the ratio.

    Args:
        mask: bool (height, width).
        softening: see :func:`draw_softening`.

    Returns:
        float64 (height, width) in [0, 1].

    Raises:
        DataError: the mask is empty.
    """
    height, width = mask.shape
    work = cv2.resize(mask.astype(np.float64), (softening.width, softening.height), interpolation=cv2.INTER_LINEAR)
    work = _normalised(cv2.GaussianBlur(work, (softening.first, softening.first), 0))
    work[work < _WHOLE] = 0.0
    work = _normalised(cv2.GaussianBlur(work, (softening.second, softening.second), softening.sigma))
    back = cv2.resize(work, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.asarray(back, np.float64), 0.0, 1.0) * softening.ratio


def blend(source: NDArray[np.uint8], target: NDArray[np.uint8], weight: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return ``weight * source + (1 - weight) * target``, truncated to whole numbers as published.

    Args:
        source: uint8 (height, width, 3).
        target: uint8 (height, width, 3).
        weight: (height, width) in [0, 1].
    """
    mixed = target + weight[..., None] * (source.astype(np.float64) - target)
    # Rounding of the sum must not lower a whole number by a level.
    return np.clip(np.floor(mixed + 1e-9), 0, 255).astype(np.uint8)


def _normalised(image: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(image, np.float64)
    largest = float(values.max())
    if largest <= 0:
        raise DataError("the mask of a face is empty", "the face lies outside the image, or its landmarks coincide")
    return values / largest
