"""O-Net, the last stage of MTCNN: five landmarks of a face in a known box, and a second face score.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.faces.bundled_weights import ONET, load
from dfbench.faces.session import session

SIDE = 48

_MIRRORED = [1, 0, 2, 4, 3]  # landmarks of a mirrored face: eyes and mouth corners are swapped


class ONet:
    """Landmarks averaged over the face and its mirror image, one face per call.

    Args:
        threads: CPU threads of the network.
        device: see :func:`dfbench.faces.session.session`.
    """

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
        image = cut_out(frame, square.astype(np.int64), SIDE)
        points, score = self._run(image)
        mirrored, mirrored_score = self._run(np.ascontiguousarray(image[:, ::-1]))
        mirrored = mirrored[_MIRRORED]
        mirrored[:, 0] = 1 - mirrored[:, 0]
        mean = (points + mirrored) / 2
        # Boxes bound pixels, landmarks are relative to pixel centres: they differ by half a pixel.
        found = square[:2] - 0.5 + mean * (square[2:] - square[:2])
        return found.astype(np.float32), (score + mirrored_score) / 2

    def _run(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        """Return the landmarks (5, 2) as fractions of the image's sides, and the score."""
        normalised = (image.astype(np.float32) - 127.5) * np.float32(0.0078125)
        # These weights came from MATLAB, which stores images column by column: the network takes x before y.
        planes = np.ascontiguousarray(normalised.transpose(1, 0, 2)[None])
        _, points, scores = self._session.run(None, {self._input: planes})
        return points[0].astype(np.float64).reshape(2, 5).T, float(scores[0, 1])


def squared(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return squares (n, 4) with the centres and the longer sides of the boxes (n, 4)."""
    side = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    left = (boxes[:, 0] + boxes[:, 2] - side) / 2
    top = (boxes[:, 1] + boxes[:, 3] - side) / 2
    return np.stack([left, top, left + side, top + side], axis=1)


def cut_out(image: NDArray[np.uint8], box: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """Crop a box of an image and resize it to a square; black beyond the border.

    Args:
        image: uint8 (height, width, 3), RGB.
        box: (4,) x1 y1 x2 y2, whole pixels.
        side: side of the result in pixels.
    """
    height, width = image.shape[:2]
    x1, y1 = int(box[0]), int(box[1])
    x2, y2 = max(int(box[2]), x1 + 1), max(int(box[3]), y1 + 1)
    inner = image[max(y1, 0) : max(min(y2, height), 0), max(x1, 0) : max(min(x2, width), 0)]
    if inner.size == 0:
        return np.zeros((side, side, 3), np.uint8)
    margins = (max(0, -y1), max(0, y2 - height), max(0, -x1), max(0, x2 - width))
    if any(margins):
        inner = np.asarray(cv2.copyMakeBorder(inner, *margins, cv2.BORDER_CONSTANT), np.uint8)
    return np.asarray(cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
