"""Face detectors: from frames to boxes and five landmarks. The contract, and the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
        dense: float32 (n, 2), further landmarks where what found the face gives them; else None.
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    dense: NDArray[np.float32] | None = None


class FaceDetector(Protocol):
    """What finds faces.

    Attributes:
        name: the registered name.
        fingerprint: changes whenever the same frame could give another result: name, version of the algorithm,
            weights, and the execution provider where it is not the CPU.
    """

    name: str
    fingerprint: str

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of frames of equal size (uint8, RGB); per frame, the largest box first.

        The result of a frame does not depend on the other frames of the call.
        """
        ...

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of the frames of one clip, in their order; arguments and result as in :meth:`detect`.

        A detector may use what it saw earlier in this call, and nothing from before it: a clip gives the same
        whatever was looked at before.
        """
        ...


@dataclass(frozen=True)
class DetectorChoice:
    """A face detector, and what it needs on this machine. Recipes keep its fingerprint, never these paths.

    Attributes:
        name: see :func:`face_detector_names`.
        model: a file or folder of the user's own that holds its weights, where it needs one.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.
    """

    name: str = "centerface"
    model: str | None = None
    device: str = "cpu"


Factory = Callable[[DetectorChoice, int], FaceDetector]


def build_face_detector(
    name: str = "centerface", threads: int = 1, *, model: str | Path | None = None, device: str = "cpu"
) -> FaceDetector:
    """Build a face detector by name.

    Args:
        name: see :func:`face_detector_names`.
        threads: CPU threads it may use; the results can depend on it in the last bits, so recipes keep it at 1.
        model: weights of the user's own, for those that need them; default: the environment, then ``dfbench.toml``.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: the name or device is unknown, or ``threads`` is not positive.
        SetupError: something it needs is not installed, or its weights are missing or damaged.
    """
    if name not in _DETECTORS:
        raise unknown_name("face detector", name, _DETECTORS)
    if threads < 1:
        raise UsageError(
            f"a face detector needs at least 1 thread, not {threads}", "leave it at 1 and run several workers"
        )
    return _DETECTORS[name](DetectorChoice(name, None if model is None else str(model), device), threads)


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


# Imported when one is built: the networks' libraries are slow to load, and two of the packages are optional.


def _centerface(choice: DetectorChoice, threads: int) -> FaceDetector:
    from dfbench.faces.centerface_onet import CenterFaceDetector

    return CenterFaceDetector(threads, choice.device)


def _centerface_full(choice: DetectorChoice, threads: int) -> FaceDetector:
    from dfbench.faces.centerface_onet import FullCenterFaceDetector

    return FullCenterFaceDetector(threads, choice.device)


def _insightface(choice: DetectorChoice, threads: int) -> FaceDetector:
    from dfbench.faces.scrfd import InsightFaceDetector

    return InsightFaceDetector(choice.model, threads, choice.device)


def _dlib(choice: DetectorChoice, threads: int) -> FaceDetector:
    from dfbench.faces.dlib_hog import DlibDetector

    return DlibDetector(choice.model)


def _dlib_gray(choice: DetectorChoice, threads: int) -> FaceDetector:
    from dfbench.faces.dlib_hog import DlibGrayDetector

    return DlibGrayDetector(threads)


_DETECTORS: Mapping[str, Factory] = MappingProxyType(
    {
        "centerface": _centerface,
        "centerface-full": _centerface_full,
        "insightface": _insightface,
        "dlib": _dlib,
        "dlib-gray": _dlib_gray,
    }
)
