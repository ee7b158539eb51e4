"""What a run will take, before it starts: time and disk, from names alone and a short trial of the face detector here.

The constants were measured on one core of a server (AMD EPYC) on H.264 clips of 1280x720, 300 frames, crf 23, at 32
frames a clip. Other clips differ: time grows with the size and the length of the frames, so this is an estimate.
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
from dfbench.preparation.planning.recipe import Recipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.media import FAKE
from dfbench.schema.sampling import FrameSampling, Rule

# Seconds on the machine named above.
DECODE_SECONDS_PER_CLIP = 0.66
CROP_SECONDS_PER_MEGAPIXEL = 0.09  # resampling, PNG and its hash
TRIAL_SECONDS = 0.045  # the trial frame below, with the embedded face detector

# Seconds of a clip's frame with one face against those of the trial frame.
_FACE_FACTOR: Mapping[str, float] = MappingProxyType({"centerface": 0.45, "centerface-full": 1.15})

# Bytes of a PNG a pixel of a crop of this side (22 faces of open clips and portraits); smaller crops hold more detail.
_SIDES = (64, 128, 224, 256, 380)
_BYTES_PER_PIXEL = (1.89, 1.60, 1.41, 1.36, 1.25)
ROW_BYTES = 600
PATCH_BYTES = 330_000  # a face of 250 pixels

TRIAL_SHAPE = (720, 1280, 3)
TRIALS = 3


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take.

    Attributes:
        seconds: wall time.
        bytes: disk, once all is made.
        clips_per_second: of all workers together.
    """

    seconds: float
    bytes: int
    clips_per_second: float


def detector_seconds(recipe: Recipe) -> float:
    """Seconds a frame of 1280x720 takes the face detector on one thread of this machine, by a short trial."""
    choice = recipe.local or DetectorChoice(recipe.face_detector)
    detector = build_face_detector(choice.name, threads=1, model=choice.model, device=choice.device)
    # Texture, so that no shortcut for an empty picture flatters it.
    frame = np.random.default_rng(0).integers(0, 256, TRIAL_SHAPE, dtype=np.uint8)
    taken = []
    for _ in range(TRIALS + 1):
        begun = time.perf_counter()
        detector.detect([frame])
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def estimate(
    recipe: Recipe, clips: int, rows: int, workers: int, detect: float, detected: int | None = None
) -> Estimate:
    """Time and disk of a run.

    Args:
        recipe: what is made of a row.
        clips: clips to read.
        rows: rows to make.
        workers: processes that work at the same time.
        detect: seconds of the trial frame, see :func:`detector_seconds`. With the embedded face detector it also
            tells how fast this machine is.
        detected: rows whose frames the face detector looks at; default: all.
    """
    speed = detect / TRIAL_SECONDS if recipe.face_detector in _FACE_FACTOR else 1.0
    pixels = sum(size * size for size in recipe.sizes)
    cropping = rows * speed * CROP_SECONDS_PER_MEGAPIXEL * pixels / 1e6
    detecting = (rows if detected is None else detected) * detect * _FACE_FACTOR.get(recipe.face_detector, 1.0)
    seconds = (clips * DECODE_SECONDS_PER_CLIP * speed + cropping + detecting) / max(1, min(workers, clips))
    disk = rows * (row_bytes(recipe.sizes) + (PATCH_BYTES if recipe.patch else 0))
    return Estimate(seconds, disk, clips / seconds if seconds else 0.0)


def planned_rows(recipe: Recipe, shard: Shard) -> int:
    """Rows that a shard is expected to have; a guess where a rule has no bound."""
    return sum(map(_rows_planned, _rules(recipe, shard)))


def detected_rows(recipe: Recipe, shards: Iterable[Shard]) -> int:
    """Rows whose frames the face detector looks at: none of ready-made crops, with shared geometry those of reals.

    Fakes whose base is not there find their own faces, and so does all of their scene group's compression; sizes, which
    can hinder sharing as well, are not known from names.
    """
    return sum(_detected(recipe, shard) for shard in shards)


def _detected(recipe: Recipe, shard: Shard) -> int:
    jobs = [(m, rule) for m, rule in zip(shard.media, _rules(recipe, shard), strict=True) if not m.cropped]
    there = {m.media_id for m, _ in jobs}
    alone = {(m.scene_group, m.subset) for m, _ in jobs if m.label == FAKE and m.base_media_id not in there}
    return sum(
        _rows_planned(rule)
        for m, rule in jobs
        if recipe.geometry == "own" or m.label != FAKE or (m.scene_group, m.subset) in alone
    )


def _rules(recipe: Recipe, shard: Shard) -> Sequence[Rule]:
    return shard.rules or (recipe.sampling,) * len(shard.media)


def _rows_planned(rule: Rule) -> int:
    return rule.rows_planned if isinstance(rule, FrameSampling) else 0


def row_bytes(sizes: tuple[int, ...]) -> int:
    """Bytes a row takes in a shard.

    >>> row_bytes((128,)) < row_bytes((128, 224))
    True
    """
    crops = (size * size * float(np.interp(size, _SIDES, _BYTES_PER_PIXEL)) for size in sizes)
    return ROW_BYTES + round(sum(crops))


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(42), duration(130), duration(7300), duration(200_000)
    ('42 s', '2 min', '2.0 h', '2.3 days')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 129_600 else f"{seconds / 86_400:.1f} days"


def volume(number: int) -> str:
    """Bytes for people, in powers of ten.

    >>> volume(900_000), volume(2_500_000_000), volume(3_100_000_000_000)
    ('0.9 MB', '2.5 GB', '3.1 TB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number / 1e6:.1f} MB"
