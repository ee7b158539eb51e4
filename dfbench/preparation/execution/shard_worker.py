"""Make one shard: read, detect, crop, write. The same bytes in whatever process and order it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from dfbench.degrade import parse
from dfbench.errors import SetupError
from dfbench.faces.detectors import DetectorChoice, FaceDetector, build_face_detector
from dfbench.faces.landmarks import LandmarkProvider, build_landmark_provider
from dfbench.faces.profiles import get_profile
from dfbench.manifest.degraded import Degrader
from dfbench.manifest.shards import Stamp, sha256_of, write_shard
from dfbench.preparation.execution.memory import give_back
from dfbench.preparation.execution.shard_progress import Tally
from dfbench.preparation.extraction.optional_columns import Extras
from dfbench.preparation.extraction.rows import Cropper, Row
from dfbench.preparation.extraction.scene import Scene
from dfbench.preparation.planning.recipe import Recipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import ShardInfo


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs for one shard.

    Attributes:
        shard: its media.
        root: folder of the data set.
        out: folder of the manifest.
        recipe: what decides rows and pixels.
        stamp: written into the file.
        given_up: ids of clips that are not read, since reading them ends the process.
    """

    shard: Shard
    root: Path
    out: Path
    recipe: Recipe
    stamp: Stamp
    given_up: frozenset[str] = frozenset()


def run_shard(task: ShardTask) -> ShardInfo:
    """Make the shard file of a task and return its description.

    Raises:
        SetupError: the file can not be written, or the command that started this worker is gone.
    """
    with one_thread():
        path = task.out / task.shard.file
        rows = write_shard(path, _rows(task), task.recipe.sizes, task.stamp, task.recipe.extras)
        return ShardInfo(file=path.name, sha256=sha256_of(path), rows=rows)


def _rows(task: ShardTask) -> Iterator[Row]:
    recipe = task.recipe
    detector = face_detector(recipe.local or DetectorChoice(recipe.face_detector))
    provider = _provider(recipe.landmarks) if recipe.landmarks else None
    cropper = Cropper(
        recipe.sizes,
        get_profile(recipe.profile),
        detector,
        recipe.decoder,
        recipe.face_rule,
        recipe.geometry == "shared",
        task.given_up,
        Extras(recipe.patch, recipe.masks, provider, "dense" in recipe.extras),
    )
    degrader = _degrader(recipe, task.root) if recipe.degrade else None
    tally = Tally(task.out, task.shard.number)
    parent = os.getppid()
    for _, jobs in groupby(task.shard.jobs(recipe.sampling), key=lambda job: job.media.scene_group):
        clips = list(jobs)
        # The clip that is opened need not be the one whose rows are made: a fake can need its base.
        scene = Scene(clips, task.root, cropper, opening=tally.clip_begun)
        for job in clips:
            if os.getppid() != parent:
                raise SetupError("the command that started this worker is gone", "run it again, it goes on from there")
            rows = scene.rows(job)
            if degrader is not None:
                rows = degrader.rows(rows)
            tally.clip_done(sum(row["status"] == "ok" for row in rows))
            give_back()
            yield from rows


def _degrader(recipe: Recipe, root: Path) -> Degrader:
    return Degrader(parse(recipe.degrade), recipe.profile, recipe.sizes, root, recipe.decoder)


@lru_cache(maxsize=1)
def face_detector(choice: DetectorChoice) -> FaceDetector:
    """The face detector of this process; loading its networks takes longer than a clip, so it is done once."""
    return build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)


@lru_cache(maxsize=1)
def _provider(name: str) -> LandmarkProvider:
    return build_landmark_provider(name)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: its own ones would fight with the other workers."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
