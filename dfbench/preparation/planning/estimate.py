"""What a run will take, before it starts: time and disk, from names and from what one worker needs per clip.

What one worker needs is measured on a clip of the data set (:mod:`dfbench.preparation.probe`). Where no clip can be
measured it is assumed, from constants that were measured on one core of a server (AMD EPYC) on H.264 clips of 1280x720
pixels, 300 frames, crf 23, at 32 frames per clip, and scaled by a short trial of the face detector on this machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dfbench.faces.base import DetectorChoice
from dfbench.faces.detectors import build_face_detector
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.sampling import rows_planned
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.media import FAKE, Media
from dfbench.schema.sampling import FrameSampling, Rule

# Seconds on the machine named above.
READ_SECONDS_PER_CLIP = 0.66
CROP_SECONDS_PER_MEGAPIXEL = 0.09  # resampling, PNG and its hash
TRIAL_SECONDS = 0.30  # the trial frame below, with the embedded face detector: it holds no face, so all searches

# Seconds per frame of a clip with one face, relative to those of the trial frame.
_FACE_FACTOR: Mapping[str, float] = MappingProxyType({"centerface": 0.0675, "centerface-full": 0.1725})

# PNG bytes per pixel of a crop of this side (22 faces of open clips and portraits); smaller crops hold more detail.
_SIDES = (64, 128, 224, 256, 380)
_BYTES_PER_PIXEL = (1.89, 1.60, 1.41, 1.36, 1.25)
ROW_BYTES = 600
PATCH_BYTES = 330_000  # a face of 250 pixels

TRIAL_SHAPE = (720, 1280, 3)
TRIALS = 1


@dataclass(frozen=True)
class ClipCosts:
    """Seconds of one worker.

    Attributes:
        read: per clip, to decode its requested frames.
        detect: per frame, to find faces.
        crop: per row, to make all crops of a face; None: not measured.
    """

    read: float
    detect: float
    crop: float | None


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Attributes:
        seconds: wall time.
        bytes: disk space of the finished manifest.
        clips_per_second: of all workers together.
    """

    seconds: float
    bytes: int
    clips_per_second: float


def assumed_costs(recipe: PreparationRecipe) -> ClipCosts:
    """Costs of a clip of 1280x720 pixels and 300 frames, by a short trial of the face detector on this machine."""
    trial = detector_seconds(recipe)
    # With the embedded face detector the trial also tells how fast this machine is.
    speed = trial / TRIAL_SECONDS if recipe.face_detector in _FACE_FACTOR else 1.0
    detect = trial * _FACE_FACTOR.get(recipe.face_detector, 1.0)
    return ClipCosts(READ_SECONDS_PER_CLIP * speed, detect, _crop_seconds(recipe) * speed)


def detector_seconds(recipe: PreparationRecipe) -> float:
    """Seconds of the face detector per frame of 1280x720 pixels, on one thread of this machine, by a short trial."""
    choice = recipe.local or DetectorChoice(recipe.face_detector)
    detector = build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)
    # Texture, so that no shortcut for an empty image makes it look faster.
    frame = np.random.default_rng(0).integers(0, 256, TRIAL_SHAPE, dtype=np.uint8)
    taken = []
    for _ in range(TRIALS + 1):
        begun = time.perf_counter()
        detector.detect([frame])
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def estimate(
    recipe: PreparationRecipe, clips: int, rows: int, workers: int, costs: ClipCosts, detected: int | None = None
) -> Estimate:
    """Time and disk space of a run.

    Args:
        recipe: what is made per row.
        clips: clips to read.
        rows: rows to make.
        workers: processes that work at the same time.
        costs: of one clip; see :func:`dfbench.preparation.probe.probe_clip` and :func:`assumed_costs`.
        detected: rows whose frames the face detector examines; default: all.
    """
    crop = _crop_seconds(recipe) if costs.crop is None else costs.crop
    work = clips * costs.read + rows * crop + (rows if detected is None else detected) * costs.detect
    seconds = work / max(1, min(workers, clips))
    disk = rows * (row_bytes(recipe.sizes) + (PATCH_BYTES if recipe.patch else 0))
    return Estimate(seconds, disk, clips / seconds if seconds else 0.0)


def _crop_seconds(recipe: PreparationRecipe) -> float:
    return CROP_SECONDS_PER_MEGAPIXEL * sum(size * size for size in recipe.sizes) / 1e6


def planned_rows(recipe: PreparationRecipe, shard: Shard, frames: int | None = None) -> int:
    """Rows that a shard is expected to have.

    Args:
        recipe: the recipe.
        shard: the shard.
        frames: length of a typical clip, for rules that do not bound the rows of a clip; default: a guess.
    """
    jobs = zip(shard.media, _rules(recipe, shard), strict=True)
    return sum(_rows_planned(media, rule, frames) for media, rule in jobs)


def detected_rows(recipe: PreparationRecipe, shards: Iterable[Shard], frames: int | None = None) -> int:
    """Rows whose frames the face detector examines: none of ready-made crops, with shared geometry those of reals.

    Fakes whose base is missing find their own faces, and so does their whole scene group in that compression level;
    sizes, which can prevent sharing as well, are not known from names.
    """
    return sum(_detected(recipe, shard, frames) for shard in shards)


def _detected(recipe: PreparationRecipe, shard: Shard, frames: int | None) -> int:
    jobs = [(m, rule) for m, rule in zip(shard.media, _rules(recipe, shard), strict=True) if not m.cropped]
    present = {m.media_id for m, _ in jobs}
    alone = {(m.scene_group, m.subset) for m, _ in jobs if m.label == FAKE and m.base_media_id not in present}
    return sum(
        _rows_planned(m, rule, frames)
        for m, rule in jobs
        if recipe.geometry == "own" or m.label != FAKE or (m.scene_group, m.subset) in alone
    )


def _rules(recipe: PreparationRecipe, shard: Shard) -> Sequence[Rule]:
    return shard.rules or (recipe.sampling,) * len(shard.media)


def _rows_planned(media: Media, rule: Rule, frames: int | None) -> int:
    if not isinstance(rule, FrameSampling):
        return 0
    return (
        rows_planned(media, rule)
        if media.kind == "image" or frames is None or rule.bounded
        else len(rule.indices(frames))
    )


def row_bytes(sizes: tuple[int, ...]) -> int:
    """Bytes of a row in a shard.

    >>> row_bytes((128,)) < row_bytes((128, 224))
    True
    """
    crops = (size * size * float(np.interp(size, _SIDES, _BYTES_PER_PIXEL)) for size in sizes)
    return ROW_BYTES + round(sum(crops))


def duration(seconds: float) -> str:
    """Seconds as text.

    >>> duration(42), duration(130), duration(7300), duration(200_000)
    ('42 s', '2 min', '2.0 h', '2.3 days')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 129_600 else f"{seconds / 86_400:.1f} days"
