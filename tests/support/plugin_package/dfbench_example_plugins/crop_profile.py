"""A crop profile: where a face is placed in its crop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.faces import Face


class Tight:
    """The face box itself, stretched to a square."""

    name = "example-profile"
    resampling = "antialiased"
    default_sizes = (128,)
    redetect_size = None

    def matrix(self, face: Face, size: int, width: int, height: int) -> NDArray[np.float64]:
        """Return the (2, 3) map from frame pixels to crop pixels."""
        x1, y1, x2, y2 = (float(value) for value in face.box)
        zoom_x, zoom_y = size / (x2 - x1), size / (y2 - y1)
        return np.array([[zoom_x, 0.0, -x1 * zoom_x], [0.0, zoom_y, -y1 * zoom_y]])


TIGHT = Tight()
