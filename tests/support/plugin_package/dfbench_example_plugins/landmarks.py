"""Dense landmarks of a detected face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.faces import Face


class BoxCorners:
    """The corners of the face box and the nose."""

    name = "example-landmarks"
    fingerprint = "example-landmarks-1"
    count = 5

    def find(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """Return (5, 2) points, x y in pixels of the frame."""
        x1, y1, x2, y2 = face.box
        return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), face.landmarks[2]], np.float32)
