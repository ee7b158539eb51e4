"""The registry of face detectors: build one by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dfbench.errors import UsageError
from dfbench.faces.base import DetectorChoice, FaceDetector
from dfbench.registry import Registry, any_callable, with_attributes

Factory = Callable[[DetectorChoice, int], FaceDetector]

_CONTRACT = with_attributes("dfbench.faces.FaceDetector", "name", "fingerprint", "detect", "detect_clip")


def build_face_detector(
    name: str = "centerface", threads: int = 1, *, model: str | Path | None = None, device: str = "cpu"
) -> FaceDetector:
    """Build a face detector by name.

    Args:
        name: see :func:`face_detector_names`.
        threads: CPU threads; the last bits of results can depend on it, so ``prepare`` uses 1.
        model: custom weights, for detectors that need them; default: the environment, then ``dfbench.toml``.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: the name or device is unknown, or ``threads`` is not positive.
        SetupError: something it needs is not installed, or its weights are missing or damaged.
    """
    factory = FACE_DETECTORS.get(name)
    if threads < 1:
        raise UsageError(
            f"a face detector needs at least 1 thread, not {threads}", "keep 1 thread and use several workers"
        )
    with FACE_DETECTORS.blame(name):
        detector = factory(DetectorChoice(name, None if model is None else str(model), device), threads)
        _CONTRACT(name, detector)
    return detector


def face_detector_names() -> tuple[str, ...]:
    """Return the names of the face detectors."""
    return tuple(sorted(FACE_DETECTORS))


# Imported when a detector is built: the libraries of the networks load slowly, and two packages are optional.


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


FACE_DETECTORS: Registry[Factory] = Registry(
    "face detector",
    "dfbench.face_detectors",
    {
        "centerface": _centerface,
        "centerface-full": _centerface_full,
        "insightface": _insightface,
        "dlib": _dlib,
        "dlib-gray": _dlib_gray,
    },
    check=any_callable("build(choice: DetectorChoice, threads: int) -> FaceDetector"),
    summaries={
        "centerface": "CenterFace on a reduced frame, landmarks by O-Net; the default",
        "centerface-full": "CenterFace on the full frame, landmarks by O-Net",
        "insightface": "SCRFD of InsightFace, with your copy of its weights",
        "dlib": "dlib's HOG detector with your copy of its 68-point landmark file",
        "dlib-gray": "dlib's HOG detector on grey frames, landmarks by O-Net",
    },
    listing="dfbench list face-detectors",
)
