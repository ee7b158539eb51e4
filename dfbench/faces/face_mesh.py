"""Dense landmarks by MediaPipe's face mesh: 468 points from a network file that the user provides.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019. The network is the file
``face_landmark.tflite`` of the wheels mediapipe 0.10.14 to 0.10.21 (Apache-2.0). It runs on LiteRT or OpenVINO,
whichever is installed. It sees an upright square around the face: first one estimated from the five landmarks, then, as
MediaPipe does from frame to frame, the one that the points found so far give.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, SetupError
from dfbench.faces.align import TARGETS, in_source, similarity
from dfbench.faces.base import Face
from dfbench.faces.crops import crop
from dfbench.faces.landmark_sets import MESH
from dfbench.faces.model_files import FACE_MESH, file_digest, find_model, how_to_give

SIDE = 192
"""Side of the network's input in pixels."""

PASSES = 2
"""The network runs this often; every run after the first sees the square that the one before gives."""

ENLARGEMENT = 1.5
"""Side of that square in longer sides of the box around the points."""

LEAST_SCORE = 0.5
"""A face of a lower score is none, as in MediaPipe."""

LEFT_CORNER, RIGHT_CORNER = 33, 263
"""Outer corners of the eyes, which give the direction of the square."""

_OPTION = "--landmark-model"
_FILE = "the file face_landmark.tflite from the wheel mediapipe 0.10.14 (mediapipe/modules/face_landmark); "

Network = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], float]]
"""RGB in [0,1] (1, 192, 192, 3) -> points (468, 3) in its pixels, logit of the face's presence."""


class FaceMesh:
    """The 468 points of MediaPipe's face mesh, x and y.

    Args:
        model: ``face_landmark.tflite``; None: from the environment or ``dfbench.toml``.

    Raises:
        SetupError: the file is not given, missing, damaged or another network, or neither LiteRT nor OpenVINO is
            installed.
    """

    name = "mediapipe"
    count = MESH

    VERSION = 1

    def __init__(self, model: str | Path | None = None) -> None:
        path = find_model(FACE_MESH, model)
        if path is None:
            raise SetupError("the landmark provider mediapipe needs its network", _hint())
        digest = file_digest(path, _hint())
        self._network, runtime = _load(path)
        self.fingerprint = f"{self.name}-v{self.VERSION}:{runtime},passes={PASSES},network={digest}"

    def find(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32] | None:
        """Find the points of one face; see :meth:`dfbench.faces.landmarks.LandmarkProvider.find`.

        Returns:
            float32 (468, 2); None if the network sees no face, or if the five landmarks cannot be aligned.
        """
        try:
            matrix = SIDE * similarity(face.landmarks, TARGETS)
            points = self._run(image, matrix)
            for _ in range(PASSES - 1):
                if points is None:
                    return None
                points = self._run(image, square_of(points))
        except DataError:
            return None
        return None if points is None else points.astype(np.float32)

    def _run(self, image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the points that the network sees in a square of the frame, in pixels of the frame."""
        found, logit = self._network(crop(image, matrix, SIDE).astype(np.float32)[None] / np.float32(255))
        if 1 / (1 + math.exp(-logit)) < LEAST_SCORE:
            return None
        return in_source(found[:, :2], matrix)


def square_of(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the map from frame pixels to the network's input for points found before.

    The square has the direction of the line through the outer corners of the eyes, the centre of the points' box in
    this direction, and 1.5 times its longer side.

    Args:
        points: (468, 2), in pixels of the frame.

    Returns:
        (2, 3) float64, a similarity; pixel centres are at whole numbers.

    Raises:
        DataError: the points coincide.
    """
    across = points[RIGHT_CORNER] - points[LEFT_CORNER]
    length = float(np.hypot(*across))
    if not np.isfinite(length) or length <= 0:
        raise DataError("the corners of the eyes coincide", "check this face: dfbench inspect")
    cos, sin = across / length
    turn = np.array([[cos, sin], [-sin, cos]])
    upright = points @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    zoom = SIDE / (ENLARGEMENT * float((high - low).max()))
    return np.column_stack([zoom * turn, (SIDE - 1) / 2 - zoom * (low + high) / 2])


def build(model: str | Path | None = None) -> FaceMesh:
    """Build the provider ``mediapipe``; see :class:`FaceMesh`."""
    return FaceMesh(model)


def _hint() -> str:
    return _FILE + how_to_give(FACE_MESH, _OPTION)


def _load(path: Path) -> tuple[Network, str]:
    """Return the network on the first runtime that is installed, and the name and version of the runtime."""
    for module, load in _RUNTIMES.items():
        if _installed(module):
            try:
                return load(path)
            except (RuntimeError, ValueError) as error:
                told = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise SetupError(f"{path} does not load: {told}", _hint()) from error
    raise SetupError(
        "the landmark provider mediapipe needs LiteRT or OpenVINO",
        "pip install ai-edge-litert, or pip install openvino",
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _litert(path: Path) -> tuple[Network, str]:
    litert: Any = import_module("ai_edge_litert.interpreter")
    # Without XNNPACK, which chooses its kernels by the CPU and prints a line in every process: 3 ms a run, not 1.
    plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    outputs = {int(np.prod(found["shape"])): found["index"] for found in interpreter.get_output_details()}
    _check(path, tuple(entry["shape"]), set(outputs))

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        interpreter.set_tensor(entry["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(outputs[MESH * 3]).reshape(MESH, 3), float(
            interpreter.get_tensor(outputs[1]).item()
        )

    return run, f"litert={import_module('ai_edge_litert').__version__}"


def _openvino(path: Path) -> tuple[Network, str]:
    openvino: Any = import_module("openvino")
    model = openvino.Core().read_model(str(path))
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    outputs = {int(np.prod(found.get_shape())): number for number, found in enumerate(model.outputs)}
    _check(path, tuple(model.inputs[0].get_shape()), set(outputs))
    compiled = openvino.Core().compile_model(model, "CPU", settings)

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        results = compiled([pixels])
        return results[outputs[MESH * 3]].reshape(MESH, 3), float(results[outputs[1]].item())

    return run, f"openvino={openvino.__version__.split('-')[0]}"


_RUNTIMES: dict[str, Callable[[Path], tuple[Network, str]]] = {
    "ai_edge_litert": _litert,
    "openvino": _openvino,
}


def _check(path: Path, entry: tuple[int, ...], outputs: set[int]) -> None:
    if tuple(int(side) for side in entry) != (1, SIDE, SIDE, 3) or outputs != {MESH * 3, 1}:
        raise SetupError(f"{path} is not MediaPipe's face mesh of {MESH} points", _hint())
