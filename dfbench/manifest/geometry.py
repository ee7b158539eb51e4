"""Where a manifest's crops lie in their frames, from what its rows say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench.faces.detectors import Face
from dfbench.faces.profiles import CropProfile


def crop_matrix(row: Mapping[str, Any], profile: CropProfile, size: int) -> npt.NDArray[np.float64]:
    """The map from source pixels to the crop of a row with status ok, in the precision that the crop was made with.

    Args:
        row: a manifest's row; one without a box was a ready-made crop.
        profile: the manifest's crop profile.
        size: side of the crop in pixels.

    Returns:
        float64 (2, 3). The column ``matrix`` is the same, rounded to float32, for the largest size.
    """
    if row.get("box") is None:
        return whole_picture(size, row["width"], row["height"])
    return profile.matrix(face_of(row), size, row["width"], row["height"])


def face_of(row: Mapping[str, Any]) -> Face:
    """The face of a manifest's row with status ok."""
    dense = row.get("dense")
    return Face(
        np.array(row["box"], np.float32),
        float(row["face_score"]),
        np.array(row["landmarks"], np.float32).reshape(5, 2),
        None if dense is None else np.array(dense, np.float32).reshape(-1, 2),
    )


def whole_picture(size: int, width: int, height: int) -> npt.NDArray[np.float64]:
    """The map (2, 3) from a whole picture to a square crop: centre to centre, the longer side filling the crop.

    The proportions stay; beside a picture that is not square its border goes on. At its own size a square picture
    stays as it is.

    >>> whole_picture(128, 256, 256)
    array([[ 0.5 ,  0.  , -0.25],
           [ 0.  ,  0.5 , -0.25]])
    """
    zoom = size / max(width, height)
    shift = [(size - 1) / 2 - zoom * (side - 1) / 2 for side in (width, height)]
    return np.array([[zoom, 0.0, shift[0]], [0.0, zoom, shift[1]]])
