"""From the options about faces to a crop profile, a face detector and a landmark provider, with fingerprints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import UsageError
from dfbench.faces.base import DetectorChoice
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.landmarks import build_landmark_provider
from dfbench.faces.profile_match import match_profile


@dataclass(frozen=True)
class FaceTools:
    """What finds and crops faces.

    Attributes:
        profile: crop profile; ends in ``~`` where another face detector than its own is used.
        detector: the face detector, with paths of this machine.
        fingerprint: of the face detector.
        landmarks: name of the provider of dense landmarks; empty: none.
        landmarks_fingerprint: of the provider.
        runtime: what runs the networks of the face detector, with version; empty if it does not say.
        note: how to get the exact profile, where it is approximate; else empty.
    """

    profile: str
    detector: DetectorChoice
    fingerprint: str
    landmarks: str = ""
    landmarks_fingerprint: str = ""
    runtime: str = ""
    note: str = ""


def resolve_faces(
    profile: str,
    face_detector: str = "centerface",
    face_model: str | Path | None = None,
    device: str = "cpu",
    dlib_predictor: str | Path | None = None,
    landmarks: str | None = None,
    landmark_model: str | Path | None = None,
) -> FaceTools:
    """Choose what finds and crops faces.

    Args:
        profile: requested crop profile.
        face_detector: requested face detector.
        face_model: model pack for ``insightface``.
        device: ``cpu``, ``auto``, ``cuda`` or ``cuda:N``.
        dlib_predictor: landmark file for ``dlib``.
        landmarks: provider of dense landmarks.
        landmark_model: model file of the provider.

    Raises:
        UsageError: an unknown name, or options that cannot be combined.
        SetupError: something is not installed, or a model file is missing or damaged.
    """
    if face_model is not None and face_detector != "insightface":
        raise UsageError("--face-model requires the face detector insightface", "add --face-detector insightface")
    requested = DetectorChoice(face_detector, None if face_model is None else str(face_model), device)
    if landmark_model is not None and not landmarks:
        raise UsageError("--landmark-model requires a provider of dense landmarks", "add --landmarks NAME")
    match = match_profile(profile, requested, dlib_predictor)
    choice = match.detector
    if landmarks and choice.name == "dlib":
        raise UsageError(
            "the face detector dlib stores its own dense landmarks", "drop --landmarks, or use another face detector"
        )
    detector = build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)
    provider = build_landmark_provider(landmarks, landmark_model) if landmarks else None
    return FaceTools(
        match.profile,
        choice,
        detector.fingerprint,
        landmarks or "",
        provider.fingerprint if provider is not None else "",
        str(getattr(detector, "runtime", "")),
        match.note,
    )
