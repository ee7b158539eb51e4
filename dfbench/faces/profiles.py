"""Crop profiles: which part of the frame around a face becomes the crop.

A profile is one map from the frame to the unit square, times the crop's size: the matrices of two sizes differ only
by the ratio of the sizes (except for ``ffpp13`` and ``sbi``). Pixel centres are at whole numbers, as in
``cv2.warpAffine``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.align import TARGETS, check_size, similarity
from dfbench.faces.base import Face
from dfbench.faces.crops import Resampling
from dfbench.faces.reference_profiles import (
    Dfb256,
    Dfb256Like,
    Dfb256NoDrop,
    Dfb256NoDropLike,
    Ffpp13,
    Ffpp13Like,
    SelfBlended,
)
from dfbench.registry import Registry, with_attributes


class CropProfile(Protocol):
    """Where a face is placed in its crop.

    Attributes:
        name: the registered name.
        resampling: how the pixels of the crop are computed.
        default_sizes: crop sizes in pixels if none are requested.
        redetect_size: a frame is dropped unless the face detector finds a face in its crop of this size in pixels;
            None: never.
    """

    name: str
    resampling: Resampling
    default_sizes: tuple[int, ...]
    redetect_size: int | None

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """Return the map from frame pixels to crop pixels.

        Args:
            face: box and landmarks in pixels of the frame.
            size: side of the crop in pixels.
            width: width of the frame in pixels.
            height: height of the frame in pixels.

        Returns:
            (2, 3) float64.

        Raises:
            DataError: the geometry of the face is degenerate (landmarks that coincide, an empty box).
            UsageError: the size is not positive.
        """
        ...


class Native:
    """Five-point similarity onto ``size * ((t + (8, 0)) / 112 + 0.15) / 1.3``, with ``t`` ArcFace's template.

    The targets of DeepfakeBench's preprocessing (template widened to 112 by the shift of 8, margin 1.3), with the five
    points in their textbook order. Rotation is removed; beyond the frame its border pixels are replicated.
    """

    name = "native"
    resampling: Resampling = "antialiased"
    default_sizes: tuple[int, ...] = (128, 224)
    redetect_size: int | None = None

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`CropProfile.matrix`."""
        check_size(size)
        return size * similarity(face.landmarks, TARGETS)


class Box:
    """A square of 1.3 times the larger side of the face box around its centre, upright, moved inside the frame.

    A square that is wider or higher than the frame is centred on the frame in that direction, and the border pixels
    are replicated: the face keeps its scale and is never cut off.
    """

    name = "box"
    resampling: Resampling = "antialiased"
    default_sizes: tuple[int, ...] = (128, 224)
    redetect_size: int | None = None

    ENLARGEMENT = 1.3

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`CropProfile.matrix`."""
        check_size(size)
        left, top, side = self.square(face.box, width, height)
        zoom = size / side
        return np.array([[zoom, 0.0, -left * zoom], [0.0, zoom, -top * zoom]])

    def square(self, box: NDArray[np.floating], width: int, height: int) -> tuple[float, float, float]:
        """Return left, top and side of the square in pixels of the frame.

        Raises:
            DataError: the box is empty or not finite.
        """
        x1, y1, x2, y2 = (float(value) for value in box)
        side = self.ENLARGEMENT * max(x2 - x1, y2 - y1)
        if not np.isfinite([x1, y1, x2, y2]).all() or side <= 0:
            raise DataError(f"the face box {[x1, y1, x2, y2]} is empty", "check this face's detection: dfbench inspect")
        left = _inside((x1 + x2 - side) / 2, side, width)
        top = _inside((y1 + y2 - side) / 2, side, height)
        return left, top, side


def _inside(start: float, side: float, length: int) -> float:
    """Move a span of the given side inside ``[0, length]``, or centre it there if it is longer."""
    if side >= length:
        return (length - side) / 2
    return min(max(start, 0.0), length - side)


_ALL: tuple[CropProfile, ...] = (
    Native(),
    Box(),
    Dfb256(),
    Dfb256Like(),
    Dfb256NoDrop(),
    Dfb256NoDropLike(),
    Ffpp13(),
    Ffpp13Like(),
    SelfBlended(),
)

CROP_PROFILES: Registry[CropProfile] = Registry(
    "crop profile",
    "dfbench.crop_profiles",
    {profile.name: profile for profile in _ALL},
    check=with_attributes(
        "dfbench.faces.CropProfile", "name", "resampling", "default_sizes", "redetect_size", "matrix"
    ),
    listing="dfbench list profiles",
)


def get_profile(name: str) -> CropProfile:
    """Return the crop profile of a name.

    Raises:
        UsageError: the name is unknown.
        SetupError: the package that provides it is broken.
    """
    return CROP_PROFILES.get(name)


def profile_names() -> tuple[str, ...]:
    """Return the names of the crop profiles."""
    return tuple(sorted(CROP_PROFILES))
