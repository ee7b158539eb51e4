"""Face detectors: from frames to boxes and five landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError, unknown_name


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a frame.

    Attributes:
        box: float32 (4,) x1 y1 x2 y2 in pixels of the frame.
        score: confidence in [0,1].
        landmarks: float32 (5, 2) x y in pixels of the frame: image-left eye, image-right eye, nose, image-left mouth
            corner, image-right mouth corner.
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]


class FaceDetector(Protocol):
    """What finds faces.

    Attributes:
        name: the registered name.
        fingerprint: changes whenever the same frame could give another result: name, version of the algorithm, weights.
    """

    name: str
    fingerprint: str

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of frames of equal size (uint8, RGB); per frame, the largest box first.

        The result of a frame does not depend on the other frames of the call.
        """
        ...


class CenterFaceDetector:
    """CenterFace's boxes with O-Net's landmarks, on the CPU; the weights lie in installed packages.

    CenterFace alone is quick and misses little but places landmarks coarsely; O-Net places them three times better,
    and a box that O-Net does not take for a face (score of at most 0.3) is dropped. Frames and faces go through the
    networks one by one: a batch is no faster on a CPU, and its last bits would depend on its size.

    Args:
        threads: threads of the networks.

    Raises:
        SetupError: a weight file is missing or not the expected one.
    """

    name = "centerface"

    VERSION = 1
    SMALLEST_ONET_SCORE = 0.3

    def __init__(self, threads: int = 1) -> None:
        from dfbench.faces.centerface import CenterFace
        from dfbench.faces.onet import ONet
        from dfbench.faces.weights import CENTERFACE, ONET

        self._boxes = CenterFace(threads)
        self._landmarks = ONet(threads)
        self.fingerprint = (
            f"{self.name}-v{self.VERSION}:{CENTERFACE.file}={CENTERFACE.sha256},{ONET.file}={ONET.sha256}"
        )

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces; see :meth:`FaceDetector.detect`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        return [self._detect_one(np.ascontiguousarray(frame)) for frame in frames]

    def _detect_one(self, frame: NDArray[np.uint8]) -> list[Face]:
        faces = []
        for box, score in zip(*self._boxes.boxes(frame), strict=True):
            landmarks, second = self._landmarks.landmarks(frame, box)
            if second > self.SMALLEST_ONET_SCORE:
                faces.append(Face(box, float(score), landmarks))
        return largest_first(faces)


_DETECTORS: Mapping[str, Callable[[int], FaceDetector]] = MappingProxyType(
    {CenterFaceDetector.name: CenterFaceDetector}
)


def build_face_detector(name: str = "centerface", threads: int = 1) -> FaceDetector:
    """Build a face detector by name.

    Args:
        name: see :func:`face_detector_names`.
        threads: CPU threads it may use; the results can depend on it in the last bits, so recipes keep it at 1.

    Raises:
        UsageError: the name is unknown, or ``threads`` is not positive.
        SetupError: something it needs is not installed.
    """
    if name not in _DETECTORS:
        raise unknown_name("face detector", name, _DETECTORS)
    if threads < 1:
        raise UsageError(
            f"a face detector needs at least 1 thread, not {threads}", "leave it at 1 and run several workers"
        )
    return _DETECTORS[name](threads)


def face_detector_names() -> tuple[str, ...]:
    """The names of the face detectors."""
    return tuple(sorted(_DETECTORS))


def largest_first(faces: list[Face]) -> list[Face]:
    """Faces by area of their boxes, the largest first; equal ones from left to right, top to bottom."""

    def rank(face: Face) -> tuple[float, float, float]:
        x1, y1, x2, y2 = face.box.tolist()
        return (-(x2 - x1) * (y2 - y1), x1, y1)

    return sorted(faces, key=rank)


def check_frames(frames: Sequence[NDArray[np.uint8]]) -> None:
    """Refuse what is not a sequence of equal-sized uint8 RGB frames.

    Raises:
        DataError: naming the first frame that does not fit.
    """
    for number, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise DataError(f"frame {number} is {frame.dtype} {frame.shape}", "give uint8 arrays (height, width, 3)")
        if frame.shape != frames[0].shape:
            raise DataError(
                f"frame {number} is {frame.shape}, the first is {frames[0].shape}",
                "give frames of one size in one call",
            )
