"""The deformation of source and mask: an affine map of both, and elastic waves of the mask alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SHIFT = (0.03, 0.015)
"""Largest shift to each side in x and y, in widths and heights of the image."""

SCALE = (0.95, 1 / 0.95)
"""Range of the scales, drawn for each direction by itself as in the published code."""

ALPHA = 50.0
SIGMA = 7.0
"""Elastic waves: noise between -1 and 1, blurred by a Gaussian of this width in pixels, times ``ALPHA``."""

_REACH = int(4 * SIGMA + 0.5)


@dataclass(frozen=True, eq=False)
class Deformation:
    """A deformation for images of one size.

    Attributes:
        matrix: (2, 3), from pixels of the image to pixels of the deformed image: shift and scale about the centre.
        waves: float32 (2, height, width): where each pixel of the deformed mask is taken from, x y relative to it.
    """

    matrix: NDArray[np.float64]
    waves: NDArray[np.float32]


def affine_matrix(
    height: int, width: int, shift: tuple[float, float], scale: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the map that scales an image about its centre and then shifts it.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        shift: x and y, in widths and heights of the image.
        scale: of x and y.

    Returns:
        (2, 3) float64; pixel centres are at whole numbers.
    """
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    factors = np.array(scale)
    moved = np.array([shift[0] * width, shift[1] * height])
    return np.column_stack([np.diag(factors), centre - factors * centre + moved])


def draw_deformation(height: int, width: int, generator: np.random.Generator) -> Deformation:
    """Draw the deformation of an image of this size in pixels."""
    shift = (float(generator.uniform(-SHIFT[0], SHIFT[0])), float(generator.uniform(-SHIFT[1], SHIFT[1])))
    across, down = generator.uniform(*SCALE, size=2).tolist()
    noise = generator.uniform(-1.0, 1.0, size=(2, height, width)).astype(np.float32)
    return Deformation(affine_matrix(height, width, shift, (across, down)), elastic_waves(noise))


def elastic_waves(noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the displacement in pixels that noise (2, height, width) in [-1, 1] gives."""
    side = 2 * _REACH + 1
    waves = [
        cv2.GaussianBlur(plane, (side, side), SIGMA, sigmaY=SIGMA, borderType=cv2.BORDER_REFLECT) for plane in noise
    ]
    return (ALPHA * np.stack(waves)).astype(np.float32)


def deform_image(image: NDArray[np.uint8], deformation: Deformation) -> NDArray[np.uint8]:
    """Return the image after the affine map: bilinear, black where nothing is known.

    Args:
        image: uint8 (height, width, 3), RGB.
        deformation: for its size.
    """
    height, width = image.shape[:2]
    return np.asarray(
        cv2.warpAffine(
            image, deformation.matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ),
        np.uint8,
    )


def deform_mask(mask: NDArray[np.bool_], deformation: Deformation) -> NDArray[np.bool_]:
    """Return the mask after the affine map and the elastic waves, each with the nearest pixel.

    Outside the image the mask is empty for the affine map, and mirrored for the waves.

    Args:
        mask: bool (height, width).
        deformation: for its size.
    """
    height, width = mask.shape
    rows, columns = np.arange(height), np.arange(width)
    (across, _, left), (_, down, top) = deformation.matrix
    from_column, from_row = np.rint((columns - left) / across).astype(int), np.rint((rows - top) / down).astype(int)
    inside = ((from_row >= 0) & (from_row < height))[:, None] & ((from_column >= 0) & (from_column < width))
    moved = mask[np.clip(from_row, 0, height - 1)[:, None], np.clip(from_column, 0, width - 1)] & inside
    wave_x, wave_y = deformation.waves
    at_row = _mirrored(np.rint(rows[:, None] + wave_y).astype(int), height)
    at_column = _mirrored(np.rint(columns + wave_x).astype(int), width)
    return np.asarray(moved[at_row, at_column])


def _mirrored(index: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    """Return positions inside ``0 .. length - 1``; outside, mirrored without repeating the border."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = np.mod(index, period)
    return np.asarray(np.minimum(folded, period - folded))
