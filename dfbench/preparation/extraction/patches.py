"""The patch of a face: the frame around it, not resampled and lossless, from which any crop can be made later.

It is the square with twice the side of the native crop and the same centre, upright, extended to whole pixels and
clipped to the frame. The native crop fits inside at any angle; so does that of every other profile, with a margin for
shifts and larger crops.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.faces.base import Face
from dfbench.faces.crops import Region
from dfbench.faces.profiles import get_profile
from dfbench.media.images import encode_png, pixel_hash

ENLARGEMENT = 2.0

PatchBox = tuple[int, int, int, int]
"""x1 y1 x2 y2 in whole source pixels; x2 and y2 are the first ones outside."""


def patch_box(face: Face, width: int, height: int) -> PatchBox:
    """Return the box of a face's patch in a frame of the given size in pixels.

    Raises:
        DataError: the landmarks coincide, or the face lies outside the frame.
    """
    unit = get_profile("native").matrix(face, 1, width, height)
    scale = float(np.sqrt(abs(np.linalg.det(unit[:, :2]))))  # native crops per source pixel
    centre_x, centre_y = np.linalg.solve(unit[:, :2], np.array([0.5, 0.5]) - unit[:, 2])
    half = ENLARGEMENT / scale / 2
    x1, x2 = _span(centre_x, half, width)
    y1, y2 = _span(centre_y, half, height)
    if x1 >= x2 or y1 >= y2:
        raise DataError("the face lies outside the frame", "check this face's detection: dfbench inspect")
    return x1, y1, x2, y2


def _span(centre: float, half: float, length: int) -> tuple[int, int]:
    # Pixel centres are at whole numbers, so pixel i extends from i - 0.5 to i + 0.5.
    start = int(np.floor(centre - half + 0.5))
    stop = int(np.ceil(centre + half + 0.5))
    return max(start, 0), min(stop, length)


def patch_columns(image: npt.NDArray[np.uint8], face: Face) -> dict[str, object]:
    """Return the patch columns of one face.

    Args:
        image: uint8 (height, width, 3), RGB: the whole frame.
        face: the face in it.

    Raises:
        DataError: see :func:`patch_box`.
    """
    height, width = image.shape[:2]
    box = patch_box(face, width, height)
    x1, y1, x2, y2 = box
    pixels = np.ascontiguousarray(image[y1:y2, x1:x2])
    return {
        "patch": {"bytes": encode_png(pixels), "path": None},
        "patch_box": list(box),
        "sha256_patch": pixel_hash(pixels),
    }


def region(pixels: npt.NDArray[np.uint8], box: PatchBox, width: int, height: int) -> Region:
    """Return a stored patch as a region of its frame.

    Args:
        pixels: uint8 (height, width, 3), RGB.
        box: see :data:`PatchBox`.
        width: width of the frame in pixels.
        height: height of the frame in pixels.

    Raises:
        DataError: the patch differs in size from its box.
    """
    x1, y1, x2, y2 = box
    if pixels.shape[:2] != (y2 - y1, x2 - x1):
        raise DataError(f"a patch of shape {pixels.shape} does not fit its box {box}", "run dfbench verify")
    return Region(pixels, x1, y1, width, height)
