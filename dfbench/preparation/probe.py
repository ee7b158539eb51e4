"""Open one clip of a plan before the work, so that the estimate of time and disk rests on what was measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from dfbench.faces.base import DetectorChoice, Face
from dfbench.faces.crops import crop
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.profiles import get_profile
from dfbench.media.frames import Frame
from dfbench.media.images import encode_png, pixel_hash
from dfbench.media.limits import BATCH_BYTES
from dfbench.preparation.extraction.clip_faces import clip_detection
from dfbench.preparation.extraction.scene_reader import SceneReader, Unreadable
from dfbench.preparation.planning.estimate import ClipCosts
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.preparation.planning.shard_plan import ShardPlan
from dfbench.preparation.planning.sharding import Shard
from dfbench.storage import StagedFiles

MOST_FRAMES = 8
"""Frames of the clip that the face detector is timed on."""

T = TypeVar("T")


@dataclass(frozen=True)
class ClipProbe:
    """What one clip told.

    Attributes:
        media_id: the clip.
        width: in pixels.
        height: in pixels.
        frame_count: frames that decode.
        faces: faces found per frame that was examined, on average.
        costs: measured seconds of one worker.
        problem: why the clip could not be measured; empty where it could. Nothing else is known then.
    """

    media_id: str
    width: int = 0
    height: int = 0
    frame_count: int = 0
    faces: float = 0.0
    costs: ClipCosts | None = None
    problem: str = ""


def probe_clip(plan: ShardPlan, shards: Sequence[Shard]) -> ClipProbe:
    """Read the requested frames of one clip, find the faces of some of them and crop one face, with the time taken.

    Args:
        plan: the plan.
        shards: those of its shards that are to be made, at least one; the clip is from the middle of them.
    """
    job = _representative(plan, shards)
    media = job.media
    kept: list[Frame] = []

    def keep(frames: Sequence[Frame]) -> list[None]:
        for frame in frames:
            held = sum(other.image.nbytes for other in kept)
            if not kept or (len(kept) < MOST_FRAMES and held + frame.image.nbytes <= BATCH_BYTES):
                kept.append(frame)
        return [None] * len(frames)

    def choose(count: int) -> list[int]:
        kept.clear()  # a clip that turns out to be cut off is read again
        return job.sampling.indices(count, media.media_id)

    try:
        with ExitStack() as stack:
            root = plan.root
            if (tree := plan.staged([media])) is not None:
                staged = stack.enter_context(StagedFiles(tree))
                staged.fetch([media.path])
                root = staged.root
            reading, read = _timed(lambda: SceneReader([job], root, plan.recipe.decoder).read(media, choose, keep))
    except Unreadable as error:
        return ClipProbe(media.media_id, problem=error.reason)
    if not kept:
        return ClipProbe(media.media_id, problem="none of the requested frames decodes")
    images = [frame.image for frame in kept if frame.image.shape == kept[0].image.shape]
    faces: list[list[Face]] = []
    detect = 0.0
    if not media.cropped:
        choice = plan.recipe.local or DetectorChoice(plan.recipe.face_detector)
        detector = build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)
        detector.detect(images[:1])  # the first call of a network is slower
        find = clip_detection(detector, plan.recipe.face_rule)
        faces, detect = _timed(lambda: find(images))
    found = [(image, face) for image, of_image in zip(images, faces, strict=False) for face in of_image[:1]]
    return ClipProbe(
        media.media_id,
        reading.width,
        reading.height,
        reading.frame_count,
        sum(map(len, faces)) / len(images),
        ClipCosts(read, detect / len(images), _crop_seconds(plan.recipe, *found[0]) if found else None),
    )


def _representative(plan: ShardPlan, shards: Sequence[Shard]) -> MediaJob:
    jobs = [job for shard in shards for job in shard.jobs(plan.recipe.sampling)]
    return jobs[len(jobs) // 2]


def _crop_seconds(recipe: PreparationRecipe, image: Any, face: Face) -> float:
    profile = get_profile(recipe.profile)
    height, width = image.shape[:2]

    def make() -> None:
        for size in recipe.sizes:
            cropped = crop(image, profile.matrix(face, size, width, height), size, profile.resampling)
            encode_png(cropped)
            pixel_hash(cropped)

    make()
    return _timed(make)[1]


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = action()
    return result, time.perf_counter() - begun
