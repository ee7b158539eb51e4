"""Image compression: JPEG and WebP, encoded and decoded once."""

from __future__ import annotations

import cv2
import numpy as np

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Stage, Values
from dfbench.errors import DataError

_LEVELS = (90, 75, 60, 45, 30)
_RULE = "equal steps of quality, with the papers' 60 in the middle"
_MILDER = (
    "The effect of a quality depends on the image size: at 1024 pixels, before a resize to 128, it is a much milder "
    "test than at 128. On HFF, whose classes differ in resolution, @source is therefore a class-dependent test."
)


def jpeg(image: Image, values: Values, draw: Draw) -> Image:
    """Encode and decode as baseline JPEG with chroma subsampled in both directions (4:2:0)."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        int(values["q"]),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    return _round_trip(image, ".jpg", settings, 65535)


def webp(image: Image, values: Values, draw: Draw) -> Image:
    """Encode and decode as lossy WebP (VP8, 4:2:0)."""
    return _round_trip(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, int(values["q"])], 16383)


def _round_trip(image: Image, extension: str, settings: list[int], largest: int) -> Image:
    if max(image.shape[:2]) > largest:
        raise DataError(
            f"an image of {image.shape[1]}x{image.shape[0]} pixels is too large for {extension[1:].upper()}",
            f"the format supports {largest} pixels per side; apply the condition @crop",
        )
    _, data = cv2.imencode(extension, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def _no_webp(stage: Stage) -> str | None:
    return None if cv2.haveImageWriter(".webp") else "this OpenCV was built without WebP"


def _quality(default: int) -> Parameter:
    return Parameter("q", "quality, 1 (worst) to 100", default, 1, 100, whole=True)


JPEG = Degradation(
    name="jpeg",
    group="compression",
    summary="JPEG with 4:2:0 chroma, encoded and decoded once",
    parameters=(_quality(75),),
    levels=_LEVELS,
    rule=_RULE,
    source="libjpeg-turbo through OpenCV; JP60 is a condition of GRnet (arXiv 2205.00753)",
    note=_MILDER,
    on_image=jpeg,
)
WEBP = Degradation(
    name="webp",
    group="compression",
    summary="lossy WebP, encoded and decoded once",
    parameters=(_quality(75),),
    levels=_LEVELS,
    rule="the levels of jpeg",
    source="libwebp through OpenCV",
    note=_MILDER,
    on_image=webp,
    missing=_no_webp,
)
