"""A face detector: boxes and five landmarks of the faces in a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dfbench.faces import DetectorChoice, Face


class CentreDetector:
    """Takes the middle of every frame for a face; for crops that are already centred."""

    name = "example-detector"
    fingerprint = "example-detector-1"

    def __init__(self, choice: DetectorChoice, threads: int) -> None:
        """``choice`` holds the weights' path and the device that the user gave."""

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Return the faces of each frame, the largest first."""
        return [[self._face(frame)] for frame in frames]

    detect_clip = detect

    def _face(self, frame: NDArray[np.uint8]) -> Face:
        height, width = frame.shape[:2]
        box = np.array([width / 4, height / 4, 3 * width / 4, 3 * height / 4], np.float32)
        points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
        return Face(box, 1.0, box[:2] + points * (box[2:] - box[:2]))
