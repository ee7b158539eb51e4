"""What a recipe can request beside the crops of a face: its patch, dense landmarks, a second detection in the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.crops import crop
from dfbench.faces.landmarks import LandmarkProvider, checked_landmarks
from dfbench.faces.profiles import CropProfile
from dfbench.preparation.extraction.patches import patch_columns


@dataclass(frozen=True)
class Extras:
    """The optional columns of a manifest.

    Attributes:
        patch: whether to add the patch columns.
        masks: whether to add the mask columns, see :func:`dfbench.preparation.extraction.rows.with_masks`.
        provider: finds dense landmarks; None uses those of the face detector.
        dense: whether to add the column of dense landmarks.
    """

    patch: bool = False
    masks: bool = False
    provider: LandmarkProvider | None = None
    dense: bool = False

    def columns(self, image: npt.NDArray[np.uint8], face: Face) -> dict[str, object]:
        """Return the optional columns of one face.

        Args:
            image: uint8 (height, width, 3), RGB: the whole frame.
            face: the face in it.

        Raises:
            DataError: the patch lies outside the frame, or the provider returned something else than its landmarks.
        """
        out = patch_columns(image, face) if self.patch else {}
        points = checked_landmarks(self.provider, image, face) if self.provider is not None else face.dense
        if self.dense and points is not None:
            out["dense"] = points.astype(np.float32).reshape(-1)
        return out


NO_EXTRAS = Extras()


def require_face_in_crop(
    image: npt.NDArray[np.uint8], face: Face, profile: CropProfile, detector: FaceDetector
) -> None:
    """Detect the face a second time in its crop, for profiles that drop frames where this fails.

    Args:
        image: uint8 (height, width, 3), RGB: the whole frame.
        face: the face in it.
        profile: the crop profile; without ``redetect_size`` nothing is checked.
        detector: the face detector; without a method ``sees_face`` nothing is checked.

    Raises:
        DataError: the face detector finds no face in the crop.
    """
    size = profile.redetect_size
    sees_face = getattr(detector, "sees_face", None)
    if size is None or sees_face is None:
        return
    height, width = image.shape[:2]
    pixels = crop(image, profile.matrix(face, size, width, height), size, profile.resampling)
    if not sees_face(pixels):
        raise DataError(
            f"the face is not detected in its crop, and {profile.name} drops such frames",
            f"the profile {profile.name}-nodrop keeps them",
        )
