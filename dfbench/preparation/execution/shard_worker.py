"""Make one shard: read, detect, crop, write. Its bytes do not depend on the process or the order of the shards."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from dfbench.degrade import parse
from dfbench.errors import SetupError
from dfbench.faces.base import DetectorChoice, FaceDetector
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.landmarks import LandmarkProvider, build_landmark_provider
from dfbench.faces.profiles import get_profile
from dfbench.io import atomic_path, file_sha256
from dfbench.manifest.degraded import Degrader
from dfbench.manifest.shards import Stamp, write_shard
from dfbench.media.limits import listening
from dfbench.preparation.execution.decoder_messages import name_messages
from dfbench.preparation.execution.shard_progress import PROGRESS, ShardProgress, journal_folder
from dfbench.preparation.execution.stored_rows import StoredRows
from dfbench.preparation.extraction.clip_faces import ExtractionSettings
from dfbench.preparation.extraction.optional_columns import Extras
from dfbench.preparation.extraction.rows import Row
from dfbench.preparation.extraction.scene import Scene
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import ShardInfo
from dfbench.storage import StagedFiles, StagedTree, StoredPath

PIXELS_PER_RELEASE = 64e6
"""Decoded pixels after which free memory is returned to the system: those of 31 frames of 1920x1080. It causes page
faults, which take 2 % of the time where it happens after every clip of 1280x720."""


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs to make one shard.

    Attributes:
        shard: its media.
        root: folder of the data set.
        out: folder of the manifest.
        recipe: what decides rows and pixels.
        stamp: identity of the shard, written into the file.
        file: name of the file to write; empty: that of the shard.
        progress: name of the folder in which workers report progress.
        worker: name of the worker.
        stored: digest of a scene group -> file in ``out`` that holds its rows, and its SHA-256; empty: not recorded.
        staged: where the media are, if they are copied to this machine scene by scene.
        given_up: ids of clips that are not read, and why: reading them ends the process, or takes too long.
    """

    shard: Shard
    root: Path
    out: Path
    recipe: PreparationRecipe
    stamp: Stamp
    given_up: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    progress: str = PROGRESS
    worker: str = "inline"
    stored: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    staged: StagedTree | None = None

    @property
    def journal(self) -> Path:
        """The file in which the worker reports progress."""
        return journal_folder(self.out, self.progress) / self.worker


def run_shard(task: ShardTask) -> ShardInfo:
    """Make the shard file of a task and return its description.

    Raises:
        SetupError: the file cannot be written, or the command that started this worker has exited.
        MemoryError: memory ran out.
    """
    progress = ShardProgress(task.journal, task.shard.number)
    with one_thread(), closing(progress), listening(progress.beat):
        path = task.out / (task.file or task.shard.file)
        if isinstance(path, StoredPath):
            with atomic_path(path) as local:  # uploaded whole at the end
                return _write(task, progress, local)
        return _write(task, progress, path)


def _write(task: ShardTask, progress: ShardProgress, path: Path) -> ShardInfo:
    with ExitStack() as stack:
        staged = None if task.staged is None else stack.enter_context(StagedFiles(task.staged))
        rows = write_shard(path, _rows(task, progress, staged), task.recipe.sizes, task.stamp, task.recipe.extras)
    return ShardInfo(file=task.shard.file, sha256=file_sha256(path), rows=rows)


def _rows(task: ShardTask, progress: ShardProgress, staged: StagedFiles | None) -> Iterator[Row]:
    recipe = task.recipe
    root = task.root if staged is None else staged.root
    detector = face_detector(recipe.local or DetectorChoice(recipe.face_detector))
    provider = _provider(recipe.landmarks, recipe.local_landmarks) if recipe.landmarks else None
    settings = ExtractionSettings(
        recipe.sizes,
        get_profile(recipe.profile),
        detector,
        recipe.decoder,
        recipe.face_rule,
        recipe.geometry == "shared",
        task.given_up,
        Extras(recipe.patch, recipe.masks, provider, "dense" in recipe.extras),
    )
    degrader = _degrader(recipe, root) if recipe.degrade else None
    parent = os.getppid()
    pixels = 0

    def opened(media_id: str) -> None:
        name_messages(media_id)
        progress.clip_begun(media_id)

    stored = StoredRows(task.out, task.stored, recipe)
    jobs = task.shard.jobs(recipe.sampling)
    scenes = [list(clips) for _, clips in groupby(jobs, key=lambda job: job.media.scene_group)]
    paths = [[job.media.path for job in clips] for clips in scenes]
    for number in range(len(scenes)) if staged is None else staged.each(paths):
        clips = scenes[number]
        # The clip that is opened need not be the one whose rows are made: a fake can need its base.
        scene = Scene(clips, root, settings, on_open=opened)
        known = stored.find(task.shard.group_hashes[number], clips[0].media.scene_group)
        if known and scene.is_unchanged(known):
            for job in clips:
                progress.clip_done(sum(r["status"] == "ok" for r in known if r["media_id"] == job.media.media_id))
            yield from known
            continue
        for job in clips:
            if os.getppid() != parent:
                raise SetupError("the command that started this worker has exited", "rerun it to resume")
            try:
                rows = scene.rows(job)
                if degrader is not None:
                    rows = degrader.rows(rows)
            except Exception as error:  # noqa: BLE001 - whatever a library raises for this clip, it costs no other
                rows = scene.failed(job, error)
            progress.clip_done(sum(row["status"] == "ok" for row in rows))
            pixels += sum(row["width"] * row["height"] for row in rows if row["status"] == "ok")
            if pixels >= PIXELS_PER_RELEASE:
                release_memory()
                pixels = 0
            yield from rows


def _degrader(recipe: PreparationRecipe, root: Path) -> Degrader:
    return Degrader(parse(recipe.degrade), recipe.profile, recipe.sizes, root, recipe.decoder)


@lru_cache(maxsize=1)
def face_detector(choice: DetectorChoice) -> FaceDetector:
    """Build the face detector of this process, once: loading its networks takes longer than a clip."""
    return build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)


@lru_cache(maxsize=1)
def _provider(name: str, model: str | None) -> LandmarkProvider:
    return build_landmark_provider(name, model)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit OpenCV to one thread inside the block: more would compete with the other workers."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def release_memory() -> None:
    """Return free heap memory to the system if the C library is glibc; does nothing elsewhere.

    Frames are short-lived, crops stay until their shard is written. Among frames of some megabytes they fragment the
    heap so that it grows with every clip. Returning every frame at once instead (a fixed ``M_MMAP_THRESHOLD``) costs a
    seventh of the time in page faults; this, after some clips, costs almost nothing.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return None
    return trim
