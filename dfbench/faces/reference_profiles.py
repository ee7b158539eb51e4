"""Crop profiles of reference implementations: DeepfakeBench's aligned crop, the boxes of FaceForensics++ and SBI.

Of the first two, a name without ``~`` implies the original face detector; with ``~`` the same geometry uses dfbench's
landmarks or box.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.faces.align import TARGETS, check_size, similarity
from dfbench.faces.base import Face
from dfbench.faces.crops import Resampling, stretch
from dfbench.faces.regions import face_region

PARTS = (37, 44, 30, 49, 55)
"""The parts that DeepfakeBench aligns: numbers meant to count from 1, used as counting from 0."""


class Dfb256:
    """DeepfakeBench's crop: dlib's parts 37, 44, 30, 49, 55 on its targets; drops frames with no face in the crop.

    ``preprocessing/preprocess.py`` of SCLBD/DeepfakeBench: bilinear, black beyond the frame. The part numbers were
    meant to count from 1 and are used as counting from 0: points of the upper lids and the lips instead of eye centres
    and mouth corners, an off-by-one error that is in all crops that its published weights were trained on.
    """

    name = "dfb256"
    resampling: Resampling = "bilinear-black"
    default_sizes: tuple[int, ...] = (256,)
    redetect_size: int | None = 256

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`dfbench.faces.profiles.CropProfile.matrix`."""
        check_size(size)
        if face.dense is None or len(face.dense) <= max(PARTS):
            raise DataError("this face has no dlib landmarks", f"use the profile {self.name}~, or --face-detector dlib")
        return size * similarity(face.dense[list(PARTS)], TARGETS)


class Dfb256NoDrop(Dfb256):
    """As dfb256, but frames whose crop shows dlib no face are kept, which the original does not do."""

    name = "dfb256-nodrop"
    redetect_size: int | None = None


class Dfb256Like:
    """DeepfakeBench's targets with the five landmarks of any face detector in their textbook order; nothing is dropped.

    Bilinear, black beyond the frame. Differs from ``dfb256`` by the face detector, by the points (no off-by-one: the
    face is upright and slightly larger), and by the frames that the original drops.
    """

    name = "dfb256~"
    resampling: Resampling = "bilinear-black"
    default_sizes: tuple[int, ...] = (256,)
    redetect_size: int | None = None

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`dfbench.faces.profiles.CropProfile.matrix`."""
        check_size(size)
        return size * similarity(face.landmarks, TARGETS)


class Dfb256NoDropLike(Dfb256Like):
    """The same as ``dfb256~``, which drops nothing either."""

    name = "dfb256-nodrop~"


class Ffpp13:
    """FaceForensics++'s crop: a square of 1.3 times the longer side of dlib's first box in the grey image.

    ``classification/detect_from_video.py`` of ondyari/FaceForensics, in whole pixels: the square is moved to the right
    and down at the left and top border, and shrunk at the other two. The resize that the original's network does
    afterwards is done by dfbench's resampling.
    """

    name = "ffpp13"
    resampling: Resampling = "antialiased"
    default_sizes: tuple[int, ...] = (299,)
    redetect_size: int | None = None

    ENLARGEMENT = 1.3

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`dfbench.faces.profiles.CropProfile.matrix`.

        The outer edges of the square become those of the crop, as in any resize, so the matrices of two sizes differ
        by more than the ratio of the sizes.
        """
        check_size(size)
        left, top, side = self.square(face.box, width, height)
        zoom = size / side
        return np.array([[zoom, 0.0, (0.5 - left) * zoom - 0.5], [0.0, zoom, (0.5 - top) * zoom - 0.5]])

    def square(self, box: NDArray[np.floating], width: int, height: int) -> tuple[int, int, int]:
        """Return left, top and side in whole pixels of the frame.

        Raises:
            DataError: the box is not finite, empty, or outside the frame.
        """
        if not np.isfinite(box).all():
            raise DataError(f"the face box {box.tolist()} is not finite", "check this face's detection")
        x1, y1, x2, y2 = self._whole(box)
        side = int(max(x2 - x1, y2 - y1) * self.ENLARGEMENT)
        left = max((x1 + x2) // 2 - side // 2, 0)
        top = max((y1 + y2) // 2 - side // 2, 0)
        side = min(width - left, height - top, side)
        if side < 1:
            raise DataError(f"the face box {[x1, y1, x2, y2]} is outside the frame", "check this face's detection")
        return left, top, side

    def _whole(self, box: NDArray[np.floating]) -> tuple[int, int, int, int]:
        x1, y1, x2, y2 = (int(value) for value in box)  # dlib's boxes are whole numbers
        return x1, y1, x2, y2


class Ffpp13Like(Ffpp13):
    """FaceForensics++'s square around the box of another face detector, rounded to whole pixels.

    Differs from ``ffpp13`` by the face detector: dlib's boxes end above the brows, those of CenterFace at the hairline,
    so this square shows more.
    """

    name = "ffpp13~"

    def _whole(self, box: NDArray[np.floating]) -> tuple[int, int, int, int]:
        x1, y1, x2, y2 = (int(np.floor(value + 0.5)) for value in box)
        return x1, y1, x2, y2


class SelfBlended:
    """The crop of self-blended images (SBI): the face box with margins of an eighth, stretched to a square.

    ``inference`` of mapooon/SelfBlendedImages: half of a quarter of the box's width and height is added on each side,
    in whole pixels clipped to the frame, and the rectangle is resized bilinearly to a square. The boxes are those of
    the manifest's face detector, RetinaFace's in the original.
    """

    name = "sbi"
    resampling: Resampling = "stretched"
    default_sizes: tuple[int, ...] = (380,)
    redetect_size: int | None = None

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """See :meth:`dfbench.faces.profiles.CropProfile.matrix`.

        As with ``ffpp13``, the outer edges of the rectangle become those of the crop.
        """
        check_size(size)
        return stretch(face_region(face.box, height, width), size)
