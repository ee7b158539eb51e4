"""The manifest rows and face crops of files, made by the code of ``prepare``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dfbench.degrade import Condition, parse
from dfbench.errors import DfbenchError, UsageError, unknown_name
from dfbench.faces.base import DetectorChoice
from dfbench.faces.profiles import get_profile
from dfbench.manifest.degraded import Degrader
from dfbench.preparation.execution.shard_worker import face_detector, one_thread, release_memory
from dfbench.preparation.extraction.clip_faces import ExtractionSettings
from dfbench.preparation.extraction.optional_columns import Extras
from dfbench.preparation.extraction.rows import Row
from dfbench.preparation.extraction.scene import Scene
from dfbench.preparation.planning.request import check_condition
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media
from dfbench.schema.sampling import FACE_RULES, FaceRule, FrameSampling
from dfbench.text import path_text

_NO_LABEL = -1


@dataclass(frozen=True)
class CropSettings:
    """Everything that determines the crops of a file; sent to worker processes.

    Attributes:
        sampling: which frames are used.
        face_rule: which faces of a frame are used.
        profile: crop profile.
        size: crop size in pixels.
        detector: the face detector.
        decoder: name of the video decoder.
        condition: the degradation of the crops.
    """

    sampling: FrameSampling
    face_rule: FaceRule
    profile: str
    size: int
    detector: DetectorChoice
    decoder: str
    condition: Condition


def check_face_rule(name: str) -> FaceRule:
    """Check the name of a face rule.

    Raises:
        UsageError: it is unknown, or needs the original of a fake.
    """
    known = tuple(rule for rule in FACE_RULES if rule != "manipulated")
    for rule in known:
        if rule == name:
            return rule
    if name == "manipulated":
        raise UsageError(
            "the face rule manipulated needs the original clip of each fake, which score does not have",
            f"choose from: {', '.join(known)}",
        )
    raise unknown_name("face rule", name, known)


def parse_condition(text: str) -> Condition:
    """Parse a condition and check that it can be applied on this machine.

    Raises:
        UsageError: the text is not a condition.
        SetupError: something it needs is not installed.
    """
    condition = parse(text)
    return condition if condition.is_clean else check_condition(condition)


def extract_rows(path: Path, settings: CropSettings) -> list[Row]:
    """Return the manifest rows of one file with crops, sorted by frame and face; their labels are placeholders."""
    extraction = ExtractionSettings(
        (settings.size,),
        get_profile(settings.profile),
        face_detector(settings.detector),
        settings.decoder,
        settings.face_rule,
        extras=Extras(dense=settings.detector.name == "dlib"),
    )
    with one_thread():
        job = MediaJob(media_of(path), settings.sampling)
        scene = Scene([job], path.parent, extraction)
        try:
            rows = scene.rows(job)
        except Exception as error:  # noqa: BLE001 - whatever a library raises for this file, it costs no other
            rows = scene.failed(job, error)
        release_memory()
        return rows if settings.condition.is_clean else _degraded(rows, path, settings)


def _degraded(rows: list[Row], path: Path, settings: CropSettings) -> list[Row]:
    degrader = Degrader(settings.condition, settings.profile, (settings.size,), path.parent, settings.decoder)
    try:
        return degrader.rows(rows)
    except DfbenchError as error:  # a codec that does not accept this clip affects this clip only
        lost = {"status": "decode_error", "reason": f"{settings.condition.name}: {error.message}"}
        return [row | lost if row["status"] == "ok" else row for row in rows]


def media_of(path: Path) -> Media:
    """Return a file as a medium without label."""
    name = re.sub(r"[#\\]", "_", path_text(path.name))  # part of the sample ids, which seed random numbers
    return Media("score", "all", "unknown", name, _NO_LABEL, "test", name, path.name)
