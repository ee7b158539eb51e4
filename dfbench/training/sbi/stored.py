"""Faces as a manifest stores them: the patch with landmarks and box in its pixels, checked to cover the crops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.landmark_sets import common_landmarks, mirrored_landmarks
from dfbench.media.images import decode_sized
from dfbench.training.sbi.crops import Rectangle, covers, face_region, landmark_region

COLUMNS = ("sample_id", "width", "height", "box", "dense", "patch", "patch_box")
"""Columns of a row that are read here."""

_PREPARE = "prepare with --patch --landmarks NAME (dlib-68, dlib-81 or mediapipe)"


@dataclass(frozen=True, eq=False)
class FaceImage:
    """A face with what blending needs.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        landmarks: float64 (68, 2) or (81, 2) in common form, x y in pixels of the image.
        box: float64 (4,), x1 y1 x2 y2 of the face detector in pixels of the image.
    """

    pixels: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    box: NDArray[np.float64]

    def mirrored(self) -> FaceImage:
        """The same face mirrored from left to right."""
        width = self.pixels.shape[1]
        x1, y1, x2, y2 = self.box
        return FaceImage(
            np.ascontiguousarray(self.pixels[:, ::-1]),
            mirrored_landmarks(self.landmarks, width),
            np.array([width - 1 - x2, y1, width - 1 - x1, y2]),
        )

    def cut(self, region: Rectangle) -> FaceImage:
        """A region of the image, with landmarks and box in its pixels."""
        x1, y1, x2, y2 = region
        return FaceImage(
            np.ascontiguousarray(self.pixels[y1:y2, x1:x2]),
            self.landmarks - (x1, y1),
            self.box - (x1, y1, x1, y1),
        )


def face_image(row: Mapping[str, Any]) -> FaceImage:
    """Return the face of a manifest's row.

    Args:
        row: the columns :data:`COLUMNS` of a row with status ``ok``.

    Raises:
        DataError: the row has no patch or no dense landmarks, or its patch ends before the region that is needed.
    """
    sample = row["sample_id"]
    for column, what in (("dense", "dense landmarks"), ("patch", "patch")):
        if row.get(column) is None:
            raise DataError(f"{sample} has no {what}", _PREPARE)
    left, top, right, bottom = (int(edge) for edge in row["patch_box"])
    points = common_landmarks(np.asarray(row["dense"], np.float64).reshape(-1, 2))
    box = np.asarray(row["box"], np.float64)
    for region in (
        landmark_region(points, row["height"], row["width"]),
        face_region(box, row["height"], row["width"]),
    ):
        if not covers((left, top, right, bottom), region):
            raise DataError(
                f"the patch {[left, top, right, bottom]} of {sample} does not cover the region {list(region)}",
                "box and landmarks of this face disagree: dfbench inspect",
            )
    pixels = decode_sized(row["patch"]["bytes"], right - left, bottom - top)
    return FaceImage(pixels, points - (left, top), box - (left, top, left, top))
