"""What a recipe can ask for beside the crops of a face: its patch, dense landmarks, a second look at the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.faces.crops import crop
from dfbench.faces.detectors import Face, FaceDetector
from dfbench.faces.landmarks import LandmarkProvider, place
from dfbench.faces.profiles import CropProfile
from dfbench.preparation.extraction.patches import patch_columns


@dataclass(frozen=True)
class Extras:
    """What is made of a face beside its crops.

    Attributes:
        patch: the patch columns.
        masks: the mask columns, which come from a video of their own, see :mod:`dfbench.preparation.extraction.masks`.
        provider: places dense landmarks.
        dense: the column of dense landmarks: the provider's, or the face detector's own.
    """

    patch: bool = False
    masks: bool = False
    provider: LandmarkProvider | None = None
    dense: bool = False

    def columns(self, image: npt.NDArray[np.uint8], face: Face) -> dict[str, object]:
        """The optional columns of one face.

        Raises:
            DataError: a patch can not be placed, or the provider returned something else than its landmarks.
        """
        out = patch_columns(image, face) if self.patch else {}
        points = place(self.provider, image, face) if self.provider is not None else face.dense
        if self.dense and points is not None:
            out["dense"] = points.astype(np.float32).reshape(-1)
        return out


NO_EXTRAS = Extras()


def look_again(image: npt.NDArray[np.uint8], face: Face, profile: CropProfile, detector: FaceDetector) -> None:
    """The second look of profiles that drop frames whose crop shows no face.

    Raises:
        DataError: the face detector sees no face in the crop.
    """
    size = profile.second_look
    sees = getattr(detector, "sees_face", None)
    if size is None or sees is None:
        return
    height, width = image.shape[:2]
    again = crop(image, profile.matrix(face, size, width, height), size, profile.resampling)
    if not sees(again):
        raise DataError(
            f"the face is not found again in its crop, and {profile.name} drops such frames",
            f"the profile {profile.name}-nodrop keeps them",
        )
