"""Colour, frequency and compression of self-blended images, each as a draw and its application to 8-bit RGB.

Values are truncated to whole numbers, as the augmentation library of the published code does on 8-bit images.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

RGB_LIMIT = 20.0
HSV_LIMIT = 0.3
"""In 8-bit units, as published: the shift lowers a value by one level or leaves it."""

SOURCE_BRIGHTNESS = 0.1
PAIR_BRIGHTNESS = 0.3
DOWNSCALES = (2, 4)
SHARPEN_ALPHA = (0.2, 0.5)
SHARPEN_LIGHTNESS = (0.5, 1.0)
JPEG_QUALITY = (40, 100)


@dataclass(frozen=True)
class Colour:
    """A change of colours, in this order.

    Attributes:
        rgb: added to the channels; None: nothing.
        hsv: added to hue (modulo 180), saturation and value, in OpenCV's 8-bit units; None: nothing, not even the
            conversion.
        contrast: factor of the values minus 1.
        brightness: added in units of 255.
    """

    rgb: tuple[float, float, float] | None = None
    hsv: tuple[float, float, float] | None = None
    contrast: float = 0.0
    brightness: float = 0.0


@dataclass(frozen=True)
class Downscale:
    """Shrink by a factor without averaging, and enlarge bilinearly."""

    factor: int


@dataclass(frozen=True)
class Sharpen:
    """Mix with an image sharpened by a 3x3 kernel of -1 around ``8 + lightness``, at a weight of ``alpha``."""

    alpha: float
    lightness: float


@dataclass(frozen=True)
class SourceTransform:
    """What happens to one of source and target before blending."""

    colour: Colour
    frequency: Downscale | Sharpen


@dataclass(frozen=True)
class PairTransform:
    """What happens to both images of a pair at the end.

    Attributes:
        colour: of both.
        quality: JPEG quality in per cent; None: not compressed.
    """

    colour: Colour
    quality: int | None = None


def draw_source_transform(generator: np.random.Generator) -> SourceTransform:
    """Draw the transform of source or target."""
    colour = _draw_colour(generator, 1.0, 1.0, SOURCE_BRIGHTNESS)
    if generator.random() < 0.5:
        return SourceTransform(colour, Downscale(int(generator.choice(DOWNSCALES))))
    return SourceTransform(
        colour, Sharpen(float(generator.uniform(*SHARPEN_ALPHA)), float(generator.uniform(*SHARPEN_LIGHTNESS)))
    )


def draw_pair_transform(generator: np.random.Generator) -> PairTransform:
    """Draw the transform of both images of a pair."""
    colour = _draw_colour(generator, 0.3, 0.3, PAIR_BRIGHTNESS)
    quality = int(generator.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1)) if generator.random() < 0.5 else None
    return PairTransform(colour, quality)


def _draw_colour(generator: np.random.Generator, hsv_p: float, brightness_p: float, limit: float) -> Colour:
    rgb = _three(generator, RGB_LIMIT) if generator.random() < 0.3 else None
    hsv = _three(generator, HSV_LIMIT) if generator.random() < hsv_p else None
    contrast, brightness = 0.0, 0.0
    if generator.random() < brightness_p:
        contrast, brightness = generator.uniform(-limit, limit, size=2).tolist()
    return Colour(rgb, hsv, contrast, brightness)


def _three(generator: np.random.Generator, limit: float) -> tuple[float, float, float]:
    first, second, third = generator.uniform(-limit, limit, size=3).tolist()
    return first, second, third


def transform_source(image: Image, transform: SourceTransform) -> Image:
    """Apply the transform of source or target.

    Args:
        image: uint8 (height, width, 3), RGB.
        transform: see :func:`draw_source_transform`.
    """
    coloured = change_colour(image, transform.colour)
    frequency = transform.frequency
    return downscale(coloured, frequency) if isinstance(frequency, Downscale) else sharpen(coloured, frequency)


def transform_pair(image: Image, transform: PairTransform) -> Image:
    """Apply the transform of a pair to one of its images, uint8 (height, width, 3), RGB."""
    coloured = change_colour(image, transform.colour)
    return coloured if transform.quality is None else compress(coloured, transform.quality)


def change_colour(image: Image, colour: Colour) -> Image:
    """Return the image with changed colours."""
    levels = np.arange(256, dtype=np.float64)
    changed = image
    if colour.rgb is not None:
        changed = _look_up(changed, [_truncated(levels + shift) for shift in colour.rgb])
    if colour.hsv is not None:
        hue, saturation, value = colour.hsv
        tables = [
            _truncated(np.mod(levels + hue, 180.0)),
            _truncated(levels + saturation),
            _truncated(levels + value),
        ]
        hsv = np.asarray(cv2.cvtColor(changed, cv2.COLOR_RGB2HSV), np.uint8)
        changed = np.asarray(cv2.cvtColor(_look_up(hsv, tables), cv2.COLOR_HSV2RGB), np.uint8)
    if colour.contrast or colour.brightness:
        table = _truncated(levels * (1 + colour.contrast) + 255 * colour.brightness)
        changed = _look_up(changed, [table, table, table])
    return changed


def downscale(image: Image, step: Downscale) -> Image:
    """Return the image shrunk and enlarged again."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(width // step.factor, 1), max(height // step.factor, 1)), interpolation=cv2.INTER_NEAREST
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def sharpen(image: Image, step: Sharpen) -> Image:
    """Return the sharpened image; beyond the border it is mirrored without repeating the border pixel."""
    kernel = np.full((3, 3), -step.alpha)
    kernel[1, 1] = (1 - step.alpha) + step.alpha * (8 + step.lightness)
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.uint8)


def compress(image: Image, quality: int) -> Image:
    """Return the image after JPEG compression with OpenCV's defaults (4:2:0)."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def _truncated(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(values, 0, 255).astype(np.uint8)


def _look_up(image: Image, tables: list[NDArray[np.uint8]]) -> Image:
    return np.stack([table[image[..., channel]] for channel, table in enumerate(tables)], axis=-1)
