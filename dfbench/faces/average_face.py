"""Dense landmarks without a network: those of an average face, placed by the five landmarks of the face detector.

They follow position, size and roll of a face, and neither its shape nor its expression nor a turn of the head. They
need no file, so that blending methods can be tried; the published methods use landmarks that are found in the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.faces.align import similarity
from dfbench.faces.base import Face
from dfbench.faces.dlib_hog import five_landmarks
from dfbench.faces.landmark_sets import DLIB_FOREHEAD, PARTS, WITH_FOREHEAD

AVERAGE = np.array(
    [
        *((-0.501, 0.122), (-0.499, 0.231), (-0.493, 0.339), (-0.459, 0.506), (-0.403, 0.652), (-0.350, 0.712)),
        *((-0.224, 0.807), (-0.091, 0.863), (0.000, 0.870), (0.091, 0.863), (0.224, 0.807), (0.350, 0.712)),
        *((0.403, 0.652), (0.459, 0.506), (0.493, 0.339), (0.499, 0.231), (0.501, 0.122), (-0.402, -0.046)),
        *((-0.357, -0.087), (-0.288, -0.111), (-0.199, -0.111), (-0.100, -0.101), (0.100, -0.101), (0.199, -0.111)),
        *((0.288, -0.111), (0.357, -0.087), (0.402, -0.046), (0.000, 0.000), (0.000, 0.095), (0.000, 0.188)),
        *((0.000, 0.250), (-0.126, 0.325), (-0.064, 0.346), (0.000, 0.351), (0.064, 0.346), (0.126, 0.325)),
        *((-0.312, 0.045), (-0.269, 0.016), (-0.198, 0.009), (-0.122, 0.052), (-0.186, 0.058), (-0.255, 0.061)),
        *((0.122, 0.052), (0.198, 0.009), (0.269, 0.016), (0.312, 0.045), (0.255, 0.061), (0.186, 0.058)),
        *((-0.220, 0.489), (-0.126, 0.454), (-0.066, 0.445), (0.000, 0.455), (0.066, 0.445), (0.126, 0.454)),
        *((0.220, 0.489), (0.165, 0.546), (0.065, 0.590), (0.000, 0.595), (-0.065, 0.590), (-0.165, 0.546)),
        *((-0.202, 0.491), (-0.057, 0.483), (0.000, 0.486), (0.057, 0.483), (0.202, 0.491), (0.056, 0.536)),
        *((0.000, 0.539), (-0.056, 0.536), (-0.492, 0.003), (-0.467, -0.095), (-0.422, -0.186), (-0.352, -0.262)),
        *((-0.246, -0.315), (-0.133, -0.342), (0.000, -0.347), (0.133, -0.342), (0.246, -0.315), (0.352, -0.262)),
        *((0.422, -0.186), (0.467, -0.095), (0.492, 0.003)),
    ]
)
"""The 81 points in common form in face widths, x right and y down from the bridge of the nose: the mean of the face
model of the mini data set (see docs/mini.md), at the vertices of ``MESH_TO_PARTS`` and ``MESH_FOREHEAD``."""
AVERAGE.setflags(write=False)


class AverageFace:
    """The 81 points of the average face, numbered as in dlib's 81-point file."""

    name = "average-face"
    fingerprint = "average-face-1"
    count = WITH_FOREHEAD

    def find(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """Place the points by a similarity; see :meth:`dfbench.faces.landmarks.LandmarkProvider.find`.

        Returns:
            float32 (81, 2); None if the five landmarks coincide.
        """
        try:
            matrix = similarity(five_landmarks(AVERAGE), face.landmarks)
        except DataError:
            return None
        placed = AVERAGE @ matrix[:, :2].T + matrix[:, 2]
        points = np.empty((WITH_FOREHEAD, 2), np.float32)
        points[[*range(PARTS), *DLIB_FOREHEAD]] = placed
        return points


def build(model: str | Path | None = None) -> AverageFace:
    """Build the provider ``average-face``.

    Raises:
        UsageError: a model file is given.
    """
    if model is not None:
        raise UsageError("the landmark provider average-face has no model file", "drop --landmark-model")
    return AverageFace()
