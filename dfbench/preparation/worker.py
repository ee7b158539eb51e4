"""Make one shard: read, detect, crop, write. The same bytes in whatever process and order it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dfbench.errors import SetupError
from dfbench.faces.detectors import FaceDetector, build_face_detector
from dfbench.faces.profiles import get_profile
from dfbench.manifest.shards import Stamp, sha256_of, write_shard
from dfbench.preparation.plan import Shard
from dfbench.preparation.recipe import Recipe
from dfbench.preparation.rows import Cropper, Row, rows_of
from dfbench.preparation.tally import Tally, tally_path
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
    """

    shard: Shard
    root: Path
    out: Path
    recipe: Recipe
    stamp: Stamp


def run_shard(task: ShardTask) -> ShardInfo:
    """Make the shard file of a task and return its description.

    Raises:
        SetupError: the file can not be written, or the command that started this worker is gone.
    """
    with _one_thread():
        path = task.out / task.shard.file
        rows = write_shard(path, _rows(task), task.recipe.sizes, task.stamp)
        return ShardInfo(file=path.name, sha256=sha256_of(path), rows=rows)


def _rows(task: ShardTask) -> Iterator[Row]:
    recipe = task.recipe
    detector = _detector(recipe.face_detector)
    cropper = Cropper(recipe.sampling, recipe.sizes, get_profile(recipe.profile), detector, recipe.decoder)
    tally = Tally(tally_path(task.out, task.shard.number))
    parent = os.getppid()
    for media in task.shard.media:
        if os.getppid() != parent:
            raise SetupError("the command that started this worker is gone", "run it again, it goes on from there")
        rows = rows_of(media, task.root, cropper)
        yield from rows
        tally.clip_done(sum(row["status"] == "ok" for row in rows))


@lru_cache(maxsize=1)
def _detector(name: str) -> FaceDetector:
    # Loading the networks takes longer than a clip: once a worker process, not once a shard.
    return build_face_detector(name, threads=1)


@contextmanager
def _one_thread() -> Iterator[None]:
    # OpenCV's own threads would fight with the other workers.
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
