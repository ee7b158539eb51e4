"""What face detectors share: the face, the detector contract, the choice of a detector, and checks on frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a frame.

    Attributes:
        box: float32 (4,) x1 y1 x2 y2 in pixels of the frame.
        score: confidence in [0,1].
        landmarks: float32 (5, 2) x y in pixels of the frame: image-left eye, image-right eye, nose, image-left mouth
            corner, image-right mouth corner.
        dense: float32 (n, 2), further landmarks of detectors that give them, in pixels of the frame; else None.
    """

    box: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    dense: NDArray[np.float32] | None = None


class FaceDetector(Protocol):
    """A face detector.

    Attributes:
        name: the registered name.
        fingerprint: changes whenever the same frame could give another result: name, version of the algorithm,
            weights, and the execution provider if it is not the CPU.

    A detector can also have the attribute ``runtime``: what runs its networks, with version, for ``manifest.json``.
    """

    name: str
    fingerprint: str

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of frames.

        Args:
            frames: uint8 arrays (height, width, 3), RGB, of equal size.

        Returns:
            The faces of each frame, the largest box first. The result of a frame does not depend on the other frames.
        """
        ...

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of consecutive frames of one clip; arguments and result as in :meth:`detect`.

        A detector may use the other frames of this call, but nothing from earlier calls: the result for a clip does not
        depend on what was processed before. A detector that could miss small faces beside the largest in this way can
        have a method ``detect_every_face`` with the same arguments, which the other face rules than ``largest`` call.
        """
        ...


@dataclass(frozen=True)
class DetectorChoice:
    """A face detector and what it needs on this machine. Recipes hold its fingerprint, never these paths.

    Attributes:
        name: see :func:`dfbench.faces.detectors.face_detector_names`.
        model: file or folder with custom weights, for detectors that need them.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.
    """

    name: str = "centerface"
    model: str | None = None
    device: str = "cpu"


def largest_first(faces: list[Face]) -> list[Face]:
    """Sort faces by the area of their boxes, largest first; equal ones from left to right, then top to bottom."""

    def rank(face: Face) -> tuple[float, float, float]:
        x1, y1, x2, y2 = face.box.tolist()
        return (-(x2 - x1) * (y2 - y1), x1, y1)

    return sorted(faces, key=rank)


def check_frames(frames: Sequence[NDArray[np.uint8]]) -> None:
    """Raise unless these are uint8 RGB frames of equal size.

    Raises:
        DataError: a frame is not; the message names the first one.
    """
    for number, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise DataError(f"frame {number} is {frame.dtype} {frame.shape}", "pass uint8 arrays (height, width, 3)")
        if frame.shape != frames[0].shape:
            raise DataError(
                f"frame {number} is {frame.shape}, the first is {frames[0].shape}",
                "pass frames of equal size in one call",
            )
