"""The face detectors that need nothing but this package: CenterFace's boxes with O-Net's landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dfbench.faces.base import Face, check_frames, largest_first
from dfbench.faces.bundled_weights import CENTERFACE, ONET
from dfbench.faces.centerface import LONG_SIDE, CenterFace, smaller_long_side
from dfbench.faces.onet import ONet


class FullCenterFaceDetector:
    """CenterFace's boxes with O-Net's landmarks; the weights lie in installed packages.

    CenterFace alone is quick and misses little but places landmarks coarsely; O-Net places them three times better,
    and a box that O-Net does not take for a face (score of at most 0.3) is dropped. Frames and faces go through the
    networks one by one: a batch is no faster on a CPU.

    Args:
        threads: threads of the networks.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        SetupError: a weight file is missing or not the expected one, or the device is not there.
    """

    name = "centerface-full"

    VERSION: ClassVar[str] = "1"
    SMALLEST_ONET_SCORE = 0.3

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._boxes = CenterFace(threads, device)
        self._landmarks = ONet(threads, device)
        self.fingerprint = (
            f"{self.name}-v{self.VERSION}:{CENTERFACE.file}={CENTERFACE.sha256},{ONET.file}={ONET.sha256}"
            f"{self._boxes.fingerprint}"
        )

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces; see :meth:`dfbench.faces.base.FaceDetector.detect`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        return [self._look(np.ascontiguousarray(frame), LONG_SIDE) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Every frame by itself, as in :meth:`detect`."""
        return self.detect(frames)

    def _look(self, frame: NDArray[np.uint8], long_side: int) -> list[Face]:
        faces = []
        for box, score in zip(*self._boxes.boxes(frame, long_side), strict=True):
            landmarks, second = self._landmarks.landmarks(frame, box)
            if second > self.SMALLEST_ONET_SCORE:
                faces.append(Face(box, float(score), landmarks))
        return largest_first(faces)


class CenterFaceDetector(FullCenterFaceDetector):
    """The same networks, looking at a clip's frames no larger than its faces need.

    Every frame is still looked at as a whole, so a second face is not lost. A full look (``centerface-full`` takes one
    at every frame) finds the smallest face; the frames after it are shrunk until that face is :data:`SMALLEST` pixels
    wide for the network. The full look is taken again every :data:`REFRESH` frames, and at once where a small look
    finds another number of faces or one below :data:`SURE`. A frame by itself is looked at fully.
    """

    name = "centerface"

    VERSION = "2"
    SMALLEST = 40
    REFRESH = 8
    SURE = 0.6

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of one clip's frames; see :meth:`dfbench.faces.base.FaceDetector.detect_clip`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        found: list[list[Face]] = []
        small: int | None = None
        count = 0
        for number, picture in enumerate(frames):
            frame = np.ascontiguousarray(picture)
            faces = None if small is None or number % self.REFRESH == 0 else self._look(frame, small)
            if faces is None or len(faces) != count or any(face.score < self.SURE for face in faces):
                faces = self._look(frame, LONG_SIDE)
                count = len(faces)
                small = self._small(faces, frame.shape[1], frame.shape[0])
            found.append(faces)
        return found

    def _small(self, faces: list[Face], width: int, height: int) -> int | None:
        """The longer side at which these faces need no more than the smallest width; None: the full look."""
        if not faces:
            return None
        narrowest = min(float(face.box[2] - face.box[0]) for face in faces)
        return smaller_long_side(width, height, self.SMALLEST / max(narrowest, 1.0))
