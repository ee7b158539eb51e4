"""The default face detectors: CenterFace's boxes with O-Net's landmarks. They need no extra and no download."""

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
    """CenterFace's boxes with O-Net's landmarks; the weights come from installed packages.

    CenterFace alone is fast and misses few faces, but its landmarks are coarse; those of O-Net are three times more
    accurate. A box with an O-Net score of at most 0.3 is dropped. Frames and faces pass the networks one by one: a
    batch is no faster on a CPU.

    Args:
        threads: CPU threads of the networks.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        SetupError: a weight file is missing or not the expected one, or the device is not available.
    """

    name = "centerface-full"

    VERSION: ClassVar[str] = "1"
    SMALLEST_ONET_SCORE = 0.3

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        self._boxes = CenterFace(threads, device)
        self._landmarks = ONet(threads, device)
        self.runtime = self._boxes.runtime
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
        return [self._detect(np.ascontiguousarray(frame), LONG_SIDE) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of each frame by itself, as :meth:`detect`."""
        return self.detect(frames)

    def _detect(self, frame: NDArray[np.uint8], long_side: int) -> list[Face]:
        faces = []
        for box, score in zip(*self._boxes.boxes(frame, long_side), strict=True):
            landmarks, second = self._landmarks.landmarks(frame, box)
            if second > self.SMALLEST_ONET_SCORE:
                faces.append(Face(box, float(score), landmarks))
        return largest_first(faces)


class CenterFaceDetector(FullCenterFaceDetector):
    """The same networks, with the frames of a clip shrunk as far as the size of its faces allows.

    Every frame is still searched as a whole, so no second face is lost. Detection at full size (which
    ``centerface-full`` runs on every frame) finds the smallest face; the frames after it are shrunk until that face is
    :data:`SMALLEST` pixels wide in the network's input. Detection at full size is repeated every :data:`REFRESH`
    frames, and at once if a shrunk frame gives another number of faces or a score below :data:`SURE`. Single frames are
    always searched at full size.
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
        for number, image in enumerate(frames):
            frame = np.ascontiguousarray(image)
            faces = None if small is None or number % self.REFRESH == 0 else self._detect(frame, small)
            if faces is None or len(faces) != count or any(face.score < self.SURE for face in faces):
                faces = self._detect(frame, LONG_SIDE)
                count = len(faces)
                small = self._smaller_side(faces, frame.shape[1], frame.shape[0])
            found.append(faces)
        return found

    def _smaller_side(self, faces: list[Face], width: int, height: int) -> int | None:
        """Return the longer side at which the narrowest face is SMALLEST pixels wide; None for full size."""
        if not faces:
            return None
        narrowest = min(float(face.box[2] - face.box[0]) for face in faces)
        return smaller_long_side(width, height, self.SMALLEST / max(narrowest, 1.0))
