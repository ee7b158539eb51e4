"""SCRFD from an InsightFace model pack given by the user. Needs the extra ``insightface``; nothing is downloaded.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", 2021. The packs are for
non-commercial research only; the recipe records which one was used by the digest of its detection network.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import SetupError
from dfbench.faces.base import Face, check_frames, largest_first
from dfbench.faces.model_files import INSIGHTFACE, file_digest, find_model, how_to_give
from dfbench.faces.session import runtime_of, session, suffix

INPUT_SIZE = (640, 640)
THRESHOLD = 0.5
NETWORKS = ("det_10g.onnx", "scrfd_10g_bnkps.onnx", "det_2.5g.onnx", "det_500m.onnx")
"""Detection networks of the packs (buffalo_l, antelopev2, buffalo_m, buffalo_s), best first."""

_OPTION = "--face-model"
_OUTPUTS_WITH_LANDMARKS = (9, 15)


class InsightFaceDetector:
    """SCRFD's boxes and landmarks, one frame per call, at an input size of 640 x 640.

    Args:
        model: the pack's folder or the network's file; default: the environment, then ``dfbench.toml``.
        threads: threads of the network.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        SetupError: insightface is not installed, or the pack is not given, missing, empty or not one of SCRFD.
    """

    name = "insightface"

    VERSION = 1

    def __init__(self, model: str | Path | None = None, threads: int = 1, device: str = "cpu") -> None:
        if find_spec("insightface") is None:
            raise SetupError(
                "the face detector insightface is not installed", 'pip install "deepfake-dfbench[insightface]"'
            )
        path = locate(find_model(INSIGHTFACE, model))
        digest = file_digest(path, how_to_give(INSIGHTFACE, _OPTION))
        network = session(path, threads, device)
        outputs = len(network.get_outputs())
        if outputs not in _OUTPUTS_WITH_LANDMARKS:
            raise SetupError(
                f"{path} is not an SCRFD network with landmarks: it has {outputs} outputs, not 9 or 15",
                f"give the detection network of a pack, for example {NETWORKS[0]}",
            )
        self._scrfd = _scrfd(network)
        width, height = INPUT_SIZE
        self.runtime = runtime_of(network)
        self.fingerprint = (
            f"{self.name}-v{self.VERSION}:{path.name}={digest},insightface={_version()},input={width}x{height}"
            f"{suffix(network)}"
        )

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces; see :meth:`dfbench.faces.base.FaceDetector.detect`.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        return [self._detect(frame) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of each frame by itself, as :meth:`detect`."""
        return self.detect(frames)

    def _detect(self, frame: NDArray[np.uint8]) -> list[Face]:
        bgr = np.ascontiguousarray(frame[:, :, ::-1])
        boxes, points = self._scrfd.detect(bgr, input_size=INPUT_SIZE)
        # A network can return an empty box at a border; it holds no face.
        return largest_first(
            [
                Face(row[:4].astype(np.float32), float(row[4]), five.astype(np.float32))
                for row, five in zip(boxes, points, strict=True)
                if row[2] > row[0] and row[3] > row[1]
            ]
        )


def locate(given: Path | None) -> Path:
    """Return the file of a pack's detection network.

    Args:
        given: a pack's folder, or the file itself; None if neither is given or configured.

    Raises:
        SetupError: nothing is given, the path does not exist, or the folder holds no detection network.
    """
    hint = how_to_give(INSIGHTFACE, _OPTION) + " (a model pack's folder, or its det_10g.onnx; nothing is downloaded)"
    if given is None:
        raise SetupError("the face detector insightface needs a model pack", hint)
    if given.is_file():
        return given
    if not given.is_dir():
        raise SetupError(f"the model pack {given} does not exist", hint)
    for name in NETWORKS:
        if (given / name).is_file():
            return given / name
    files = sorted(p.name for p in given.iterdir())
    what = f"holds no detection network ({', '.join(NETWORKS)}), only: {', '.join(files[:5])}" if files else "is empty"
    raise SetupError(f"the model pack {given} {what}", hint)


def _scrfd(network: Any) -> Any:
    try:
        from insightface.model_zoo.scrfd import SCRFD
    except ImportError as error:
        raise SetupError(
            f"insightface cannot be imported: {error}", 'pip install "deepfake-dfbench[insightface]"'
        ) from error
    # With a session given, it opens no file itself and keeps the number of threads and the execution provider.
    made = SCRFD(session=network)
    made.det_thresh = THRESHOLD
    return made


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("insightface")
    except PackageNotFoundError:
        return "unknown"
