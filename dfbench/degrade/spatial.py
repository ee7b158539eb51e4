"""Spatial degradations: loss of resolution, a shifted crop, occlusion."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image as Pillow

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

KERNELS = {
    "nearest": Pillow.Resampling.NEAREST,
    "box": Pillow.Resampling.BOX,
    "bilinear": Pillow.Resampling.BILINEAR,
    "bicubic": Pillow.Resampling.BICUBIC,
    "lanczos": Pillow.Resampling.LANCZOS,
}
"""Resampling kernels by name. Downscaling widens them, so that only ``nearest`` aliases."""


def resized(image: Image, width: int, height: int, kernel: str) -> Image:
    """Resample an image to another size in integer arithmetic (Pillow's)."""
    return np.asarray(Pillow.fromarray(image).resize((width, height), KERNELS[kernel]), np.uint8)


def resize(image: Image, values: Values, draw: Draw) -> Image:
    """Downscale by ``scale`` and upscale to the original size with the same kernel."""
    height, width = image.shape[:2]
    scale, kernel = float(values["scale"]), str(values["kernel"])
    small = resized(image, max(1, round(width * scale)), max(1, round(height * scale)), kernel)
    return resized(small, width, height, kernel)


def shift(image: Image, values: Values, draw: Draw) -> Image:
    """Shift the image by integer pixels in a random direction; exposed pixels replicate the border."""
    turn = draw().uniform(0, 2 * math.pi)
    height, width = image.shape[:2]
    distance = float(values["by"]) * min(height, width)
    right, down = round(distance * math.cos(turn)), round(distance * math.sin(turn))
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    return np.ascontiguousarray(image[rows][:, columns])


def occlude(image: Image, values: Values, draw: Draw) -> Image:
    """Cover a rectangle with the image's aspect ratio at a random position with black."""
    across, down = draw().random(2)
    height, width = image.shape[:2]
    side = math.sqrt(float(values["area"]))
    tall, wide = max(1, round(side * height)), max(1, round(side * width))
    top, left = round(down * (height - tall)), round(across * (width - wide))
    result = image.copy()
    cv2.rectangle(result, (left, top), (left + wide - 1, top + tall - 1), (0, 0, 0), thickness=-1)
    return result


RESIZE = Degradation(
    name="resize",
    group="resolution",
    summary="downscaled by a factor and upscaled again",
    parameters=(
        Parameter("scale", "scale of the sides when downscaling", 0.5, 0.01, 1),
        Parameter("kernel", "resampling kernel, antialiased when downscaling", "bicubic", choices=tuple(KERNELS)),
    ),
    levels=(0.5, 0.333333, 0.25, 0.2, 0.166667),
    rule="the levels of DeeperForensics-1.0: 2, 3, 4, 5, 6 times smaller",
    source="DeeperForensics-1.0, perturbation/distortions.py, where the distortion named JPEG does this; "
    "kernels are Pillow's",
    on_image=resize,
)
SHIFT = Degradation(
    name="shift",
    group="geometry",
    summary="crop shifted in a random direction",
    parameters=(Parameter("by", "distance as a fraction of the shorter side", 0.05, 0, 0.5),),
    levels=(0.02, 0.04, 0.06, 0.08, 0.1),
    rule="equal steps of the side",
    source="localisation error of a face detector; border pixels are repeated",
    stages=("crop",),
    on_image=shift,
)
OCCLUDE = Degradation(
    name="occlude",
    group="geometry",
    summary="black rectangle at a random position",
    parameters=(Parameter("area", "covered fraction of the image", 0.1, 0.001, 0.95),),
    levels=(0.05, 0.1, 0.15, 0.2, 0.25),
    rule="equal steps of the area",
    source="Cutout (DeVries and Taylor 2017)",
    stages=("crop",),
    on_image=occlude,
)
