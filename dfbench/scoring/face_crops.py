"""The manifest rows and face crops of files, made by the code of ``prepare``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from dfbench.degrade import Condition, parse
from dfbench.errors import DfbenchError, UsageError, unknown_name
from dfbench.faces.base import DetectorChoice
from dfbench.faces.profiles import get_profile
from dfbench.manifest.degraded import Degrader
from dfbench.preparation.execution.shard_worker import face_detector, one_thread, release_memory
from dfbench.preparation.execution.subprocess_worker import WorkerDied, WorkerProcess, process_pool
from dfbench.preparation.extraction.clip_faces import ExtractionSettings
from dfbench.preparation.extraction.optional_columns import Extras
from dfbench.preparation.extraction.rows import Row, unreadable_rows
from dfbench.preparation.extraction.scene import Scene
from dfbench.preparation.extraction.scene_reader import GIVEN_UP
from dfbench.preparation.planning.request import check_condition
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import Media
from dfbench.schema.sampling import FACE_RULES, FaceRule, FrameSampling
from dfbench.text import path_text

TRIES = 2
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
        job = MediaJob(_media(path), settings.sampling)
        rows = Scene([job], path.parent, extraction).rows(job)
        release_memory()
        return rows if settings.condition.is_clean else _degraded(rows, path, settings)


def extract_all(files: Sequence[Path], settings: CropSettings, workers: int = 1) -> Iterator[list[Row]]:
    """Yield the rows of each file, in the order of ``files``.

    Args:
        files: the files.
        settings: what determines the crops.
        workers: number of processes. With several, a crash of the decoder affects the rows of one file only.
    """
    if workers == 1:
        yield from (extract_rows(path, settings) for path in files)
        return
    with process_pool(workers) as borrow:

        def run(path: Path) -> list[Row]:
            with borrow() as process:
                return _guarded(process, path, settings)

        pool = Parallel(n_jobs=workers, backend="threading", batch_size=1, return_as="generator")
        yield from pool(delayed(run)(path) for path in files)


def _guarded(process: WorkerProcess, path: Path, settings: CropSettings) -> list[Row]:
    for _ in range(TRIES):
        try:
            rows: list[Row] = process.run(extract_rows, path, settings)
        except WorkerDied:
            if process.closed:
                raise
            continue
        return rows
    return unreadable_rows(_media(path), settings.sampling.rows_if_unreadable, "decode_error", GIVEN_UP)


def _degraded(rows: list[Row], path: Path, settings: CropSettings) -> list[Row]:
    degrader = Degrader(settings.condition, settings.profile, (settings.size,), path.parent, settings.decoder)
    try:
        return degrader.rows(rows)
    except DfbenchError as error:  # a codec that does not accept this clip affects this clip only
        lost = {"status": "decode_error", "reason": f"{settings.condition.name}: {error.message}"}
        return [row | lost if row["status"] == "ok" else row for row in rows]


def _media(path: Path) -> Media:
    name = re.sub(r"[#\\]", "_", path_text(path.name))  # part of the sample ids, which seed random numbers
    return Media("score", "all", "unknown", name, _NO_LABEL, "test", name, path.name)
