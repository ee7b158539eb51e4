"""dlib's frontal face detector, as used by the projects whose crops are reproduced. Needs the extra ``dlib``.

King, "Dlib-ml: A Machine Learning Toolkit", 2009; landmarks after Kazemi and Sullivan, "One Millisecond Face Alignment
with an Ensemble of Regression Trees", 2014. It is slow (HOG at twice the frame's size) and finds frontal faces only;
dfbench supports it for exact crop profiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import SetupError
from dfbench.faces.base import Face, check_frames, largest_first
from dfbench.faces.bundled_weights import ONET
from dfbench.faces.model_files import PREDICTOR, file_digest, find_model, how_to_give
from dfbench.faces.onet import ONet

UPSAMPLE = 1
KNOWN_PARTS = (68, 81)

INSTALL = 'pip install "deepfake-dfbench[dlib]"'
_OPTION = "--dlib-predictor"
_HINT = "a file like shape_predictor_68_face_landmarks.dat, unpacked; " + how_to_give(PREDICTOR, _OPTION)


def has_dlib() -> bool:
    """Whether dlib is installed."""
    return find_spec("dlib") is not None


class DlibDetector:
    """dlib's HOG detector on RGB with one upsampling, and the landmarks of a shape predictor file given by the user.

    DeepfakeBench's preprocessing runs this. The five landmarks are computed from the predictor's parts by their usual
    definition (eyes: the mean of six points each; nose tip; outer mouth corners); all parts are in :attr:`Face.dense`.

    Args:
        predictor: a shape predictor file of 68 or 81 parts (the first 68 are numbered alike).

    Raises:
        SetupError: dlib is not installed, or the predictor is not given, missing, damaged or has other parts.
    """

    name = "dlib"

    VERSION = 1

    def __init__(self, predictor: str | Path | None = None) -> None:
        dlib = load_dlib()
        path = find_model(PREDICTOR, predictor)
        if path is None:
            raise SetupError("the face detector dlib needs a landmark file", how_to_give(PREDICTOR, _OPTION))
        digest = file_digest(path, how_to_give(PREDICTOR, _OPTION))
        self._hog = dlib.get_frontal_face_detector()
        self._predictor = load_predictor(dlib, path, KNOWN_PARTS, _HINT)
        self.runtime = f"dlib {dlib.__version__}"
        self.fingerprint = f"{self.name}-v{self.VERSION}:dlib={dlib.__version__},upsample={UPSAMPLE},predictor={digest}"

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces; see :meth:`dfbench.faces.base.FaceDetector.detect`.

        Boxes are dlib's rectangles, which include their right and bottom pixels; scores are its margins mapped by the
        logistic function.

        Raises:
            DataError: a frame is not a uint8 (height, width, 3) array, or the frames differ in size.
        """
        check_frames(frames)
        return [self._detect(np.ascontiguousarray(frame)) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of each frame by itself, as :meth:`detect`."""
        return self.detect(frames)

    def sees_face(self, crop: NDArray[np.uint8]) -> bool:
        """Whether a face is detected in a crop.

        Args:
            crop: uint8 (height, width, 3), RGB; its channels are swapped for this, as in the original.
        """
        return len(self._hog(np.ascontiguousarray(crop[:, :, ::-1]), UPSAMPLE)) > 0

    def _detect(self, frame: NDArray[np.uint8]) -> list[Face]:
        faces = []
        for box, score, rectangle in _run(self._hog, frame):
            shape = self._predictor(frame, rectangle)
            parts = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
            faces.append(Face(box, score, five_landmarks(parts), parts))
        return largest_first(faces)


class DlibGrayDetector:
    """dlib's HOG detector on the grey image with one upsampling, in dlib's own order; O-Net's landmarks.

    FaceForensics++'s classification script runs this: it takes the first face, which is the one with the highest
    score, not the largest. The grey image is OpenCV's.

    Raises:
        SetupError: dlib is not installed.
    """

    name = "dlib-gray"

    VERSION = 1

    def __init__(self, threads: int = 1) -> None:
        dlib = load_dlib()
        self._hog = dlib.get_frontal_face_detector()
        self._landmarks = ONet(threads)
        self.runtime = f"dlib {dlib.__version__}"
        self.fingerprint = (
            f"{self.name}-v{self.VERSION}:dlib={dlib.__version__},upsample={UPSAMPLE},{ONET.file}={ONET.sha256}"
        )

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find faces, highest score first; otherwise as :meth:`DlibDetector.detect`."""
        check_frames(frames)
        return [self._detect(np.ascontiguousarray(frame)) for frame in frames]

    def detect_clip(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of each frame by itself, as :meth:`detect`."""
        return self.detect(frames)

    def _detect(self, frame: NDArray[np.uint8]) -> list[Face]:
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        return [Face(box, score, self._landmarks.landmarks(frame, box)[0]) for box, score, _ in _run(self._hog, grey)]


def five_landmarks(parts: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return eye centres, nose tip and mouth corners (5, 2) from iBUG's 68 parts (68 or more, 2), numbered from 0."""
    return np.stack([parts[36:42].mean(axis=0), parts[42:48].mean(axis=0), parts[30], parts[48], parts[54]]).astype(
        np.float32
    )


def _run(hog: Any, image: NDArray[np.uint8]) -> list[tuple[NDArray[np.float32], float, Any]]:
    """Return box, score and dlib's rectangle of each face, in dlib's order."""
    rectangles, margins, _ = hog.run(image, UPSAMPLE, 0.0)
    return [
        (np.array([r.left(), r.top(), r.right(), r.bottom()], np.float32), 1 / (1 + math.exp(-margin)), r)
        for r, margin in zip(rectangles, margins, strict=True)
    ]


def load_dlib() -> Any:
    """Import dlib.

    Raises:
        SetupError: it is not installed.
    """
    try:
        return import_module("dlib")  # dlib has no type stubs
    except ImportError as error:
        raise SetupError("dlib is not installed", INSTALL) from error


def load_predictor(dlib: Any, path: Path, counts: Sequence[int], how: str) -> Any:
    """Load a shape predictor.

    Args:
        dlib: the module.
        path: its file.
        counts: the numbers of parts that it may have.
        how: the hint that says how to give another file.

    Raises:
        SetupError: it is no shape predictor, or has other parts.
    """
    try:
        predictor = dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise SetupError(f"{path} is not a dlib shape predictor: {error}", how) from error
    parts = predictor(np.zeros((64, 64, 3), np.uint8), dlib.rectangle(8, 8, 56, 56)).num_parts
    if parts not in counts:
        raise SetupError(f"{path} has {parts} parts, not {' or '.join(map(str, counts))}", how)
    return predictor
