"""Look at files: the rows and crops that ``prepare`` would make of each, by the same code."""

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

TRIES = 2
_NO_LABEL = -1


@dataclass(frozen=True)
class Looking:
    """All that decides the crops of a file; goes to worker processes.

    Attributes:
        sampling: which frames.
        face_rule: which faces of a frame.
        profile: crop profile.
        size: crop size in pixels.
        detector: finds the faces.
        decoder: name of the video reader.
        condition: what the crops are under.
    """

    sampling: FrameSampling
    face_rule: FaceRule
    profile: str
    size: int
    detector: DetectorChoice
    decoder: str
    condition: Condition


def check_face_rule(name: str) -> FaceRule:
    """The face rule of a name.

    Raises:
        UsageError: it is unknown, or needs the clip that a fake was made from.
    """
    known = tuple(rule for rule in FACE_RULES if rule != "manipulated")
    for rule in known:
        if rule == name:
            return rule
    if name == "manipulated":
        raise UsageError(
            "which face was manipulated is known only where the clip it was made from is",
            f"take one of: {', '.join(known)}",
        )
    raise unknown_name("face rule", name, known)


def parse_condition(text: str) -> Condition:
    """A condition that crops can be made under on this machine.

    Raises:
        UsageError: it is not well formed.
        SetupError: what it needs is not installed.
    """
    condition = parse(text)
    return condition if condition.is_clean else check_condition(condition)


def look_at(path: Path, how: Looking) -> list[Row]:
    """The manifest rows of one file, with crops, by rising frame and face; labels in them mean nothing."""
    settings = ExtractionSettings(
        (how.size,),
        get_profile(how.profile),
        face_detector(how.detector),
        how.decoder,
        how.face_rule,
        extras=Extras(dense=how.detector.name == "dlib"),
    )
    with one_thread():
        job = MediaJob(_media(path), how.sampling)
        rows = Scene([job], path.parent, settings).rows(job)
        release_memory()
        return rows if how.condition.is_clean else _degraded(rows, path, how)


def look_at_all(files: Sequence[Path], how: Looking, jobs: int = 1) -> Iterator[list[Row]]:
    """The rows of each of some files, in their order.

    Args:
        files: the files.
        how: what decides the crops.
        jobs: processes. With several, a file that ends its process costs its own rows alone.
    """
    if jobs == 1:
        yield from (look_at(path, how) for path in files)
        return
    with process_pool(jobs) as borrow:

        def run(path: Path) -> list[Row]:
            with borrow() as process:
                return _guarded(process, path, how)

        pool = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator")
        yield from pool(delayed(run)(path) for path in files)


def _guarded(process: WorkerProcess, path: Path, how: Looking) -> list[Row]:
    for _ in range(TRIES):
        try:
            rows: list[Row] = process.run(look_at, path, how)
        except WorkerDied:
            if process.closed:
                raise
            continue
        return rows
    return unreadable_rows(_media(path), how.sampling.rows_if_unreadable, "decode_error", GIVEN_UP)


def _degraded(rows: list[Row], path: Path, how: Looking) -> list[Row]:
    degrader = Degrader(how.condition, how.profile, (how.size,), path.parent, how.decoder)
    try:
        return degrader.rows(rows)
    except DfbenchError as error:  # a codec that does not take this clip costs this clip
        lost = {"status": "decode_error", "reason": f"{how.condition.name}: {error.message}"}
        return [row | lost if row["status"] == "ok" else row for row in rows]


def _media(path: Path) -> Media:
    name = re.sub(r"[#\\]", "_", path.name)  # a part of ids, which randomness is drawn from
    return Media("score", "all", "unknown", name, _NO_LABEL, "test", name, path.name)
