"""O-Net, the last stage of MTCNN: five landmarks of a face whose box is known, and a second opinion whether it is one.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfbench.faces.bundled_weights import ONET, load
from dfbench.faces.centerface import cut_out, squared
from dfbench.faces.session import session

SIDE = 48

_MIRRORED = [1, 0, 2, 4, 3]  # the landmarks in a mirror: eyes and mouth corners change places


class ONet:
    """Landmarks averaged over the face and its mirror image, one face a call."""

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._session = session(load(ONET), threads, device)
        self._input = self._session.get_inputs()[0].name

    def landmarks(self, frame: NDArray[np.uint8], box: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """Find the landmarks of one face.

        Args:
            frame: uint8 (height, width, 3), RGB.
            box: (4,) x1 y1 x2 y2 in pixels of the frame.

        Returns:
            (5, 2) float32 in pixels of the frame: image-left eye, image-right eye, nose, image-left and image-right
            mouth corner; and the probability in [0,1] that it is a face.
        """
        square = np.floor(squared(box[None].astype(np.float64))[0] + 0.5)
        picture = cut_out(frame, square.astype(np.int64), SIDE)
        points, score = self._run(picture)
        mirrored, mirrored_score = self._run(np.ascontiguousarray(picture[:, ::-1]))
        mirrored = mirrored[_MIRRORED]
        mirrored[:, 0] = 1 - mirrored[:, 0]
        mean = (points + mirrored) / 2
        # The box bounds pixels, landmarks are counted from pixel centres: half a pixel lies between the two.
        found = square[:2] - 0.5 + mean * (square[2:] - square[:2])
        return found.astype(np.float32), (score + mirrored_score) / 2

    def _run(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        """Landmarks (5, 2) as fractions of the picture's sides, and the score."""
        normalised = (picture.astype(np.float32) - 127.5) * np.float32(0.0078125)
        # These weights came from MATLAB, which stores images column by column: the network sees x before y.
        planes = np.ascontiguousarray(normalised.transpose(1, 0, 2)[None])
        _, points, scores = self._session.run(None, {self._input: planes})
        return points[0].astype(np.float64).reshape(2, 5).T, float(scores[0, 1])
