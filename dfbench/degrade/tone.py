"""Tone and colour: operations on single pixels with lookup tables or integer arithmetic."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

_GREYS = np.arange(256, dtype=np.float64)


def brightness(image: Image, values: Values, draw: Draw) -> Image:
    """Add grey levels to every channel."""
    return _through(image, _GREYS + float(values["add"]))


def contrast(image: Image, values: Values, draw: Draw) -> Image:
    """Scale the distances from the image's mean grey."""
    middle = round(float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()))
    return _through(image, middle + float(values["factor"]) * (_GREYS - middle))


def gamma(image: Image, values: Values, draw: Draw) -> Image:
    """Apply a power law to values from 0 to 1; exponents above 1 darken the image."""
    return _through(image, 255 * (_GREYS / 255) ** float(values["gamma"]))


def saturation(image: Image, values: Values, draw: Draw) -> Image:
    """Scale the distances from each pixel's grey (BT.601 luma); 0 gives a grey image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None].astype(np.float64)
    coloured = grey + float(values["factor"]) * (image - grey)
    return np.clip(np.rint(coloured), 0, 255).astype(np.uint8)


def color_shift(image: Image, values: Values, draw: Draw) -> Image:
    """Shift each channel; the three shifts sum to about zero and have a root mean square of ``by``."""
    turn = draw().uniform(0, 2 * math.pi)
    third = 2 * math.pi / 3
    shifts = [math.sqrt(2) * float(values["by"]) * math.cos(turn + channel * third) for channel in range(3)]
    return np.dstack([_through(image[:, :, c], _GREYS + shifts[c]) for c in range(3)])


def _through(image: Image, table: NDArray[np.float64]) -> Image:
    return np.asarray(cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8)), np.uint8)


_DEEPER = "DeeperForensics-1.0, perturbation/add_distortion_to_video.py"

BRIGHTNESS = Degradation(
    name="brightness",
    group="tone",
    summary="every channel brightened or darkened by an amount",
    parameters=(Parameter("add", "grey levels added", 26, -255, 255, whole=True),),
    levels=(26, 51, 77, 102, 128),
    rule="the levels of ImageNet-C: 0.1 to 0.5 of the range",
    source="ImageNet-C (Hendrycks and Dietterich 2019), which adds to HSV's value; here to every channel",
    on_image=brightness,
)
CONTRAST = Degradation(
    name="contrast",
    group="tone",
    summary="contrast around the image's mean grey",
    parameters=(Parameter("factor", "factor of the contrast; 1 has no effect", 0.6, 0, 5),),
    levels=(0.85, 0.725, 0.6, 0.475, 0.35),
    rule="the levels of DeeperForensics-1.0",
    source=_DEEPER + ", which scales towards black; here towards the mean, as Pillow's ImageEnhance.Contrast",
    on_image=contrast,
)
SATURATION = Degradation(
    name="saturation",
    group="tone",
    summary="saturation around each pixel's grey",
    parameters=(Parameter("factor", "factor of the saturation; 1 has no effect, 0 gives grey", 0.2, 0, 5),),
    levels=(0.4, 0.3, 0.2, 0.1, 0),
    rule="the levels of DeeperForensics-1.0",
    source=_DEEPER,
    on_image=saturation,
)
GAMMA = Degradation(
    name="gamma",
    group="tone",
    summary="power law; exponents above 1 darken, below 1 brighten",
    parameters=(Parameter("gamma", "exponent on values from 0 to 1", 1.5, 0.1, 10),),
    levels=(1.25, 1.4, 1.7, 2.2, 3.5),
    rule="approximately equal steps of mean PSNR on mini faces (tools/degradations.py)",
    source="textbook power law",
    on_image=gamma,
)
COLOR_SHIFT = Degradation(
    name="color-shift",
    group="tone",
    summary="colour cast of random hue without a change of brightness",
    parameters=(Parameter("by", "root mean square of the channels' shifts in grey levels", 20, 1, 128),),
    levels=(8, 11, 16, 23, 32),
    rule="3 dB apart",
    source="the RGB shift of training augmentations (SBI: up to 20 grey levels), without the change of brightness",
    on_image=color_shift,
)
