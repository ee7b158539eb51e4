"""Plan of the data set: its pairs, and the content of each clip, as pure functions of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from dfbench.datasets import ffpp_pairs
from dfbench.mini.settings import MiniSettings, stream

TWO_PEOPLE = 0.10
"""Fraction of clips with a second, smaller person, who is never manipulated."""
ABSENT = 0.10
"""Fraction of clips in which some frames show no person."""


@dataclass(frozen=True)
class MiniPair:
    """An official FF++ pair: two original clips, each the target of one fake and the source of the other.

    ``number`` counts the pairs of its split from 0.
    """

    split: str
    number: int
    a: str
    b: str

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"{self.a}_{self.b}"


@dataclass(frozen=True)
class ClipPlan:
    """An original clip before it is rendered.

    ``centre`` and ``face_width`` (pixels) position the main person, ``second`` (x, y, face width) the second one, if
    any; ``absent`` are the frames without the main person.
    """

    clip: str
    frames: int
    centre: tuple[float, float]
    face_width: float
    second: tuple[float, float, float] | None
    absent: range

    @property
    def person_slot(self) -> int:
        """Number of the main person."""
        return int(self.clip)

    @property
    def second_slot(self) -> int:
        """Number of the second person."""
        return 1000 + int(self.clip)


def official_pairs(settings: MiniSettings) -> tuple[MiniPair, ...]:
    """Return the first pairs of each of FF++'s official splits, in their published order."""
    published = ffpp_pairs.official_pairs().pairs
    chosen: list[MiniPair] = []
    for split, count in settings.pairs().items():
        first = [pair for pair in published if pair.split == split][:count]
        chosen.extend(MiniPair(split, number, pair.a, pair.b) for number, pair in enumerate(first))
    return tuple(chosen)


def plan_clip(clip: str, settings: MiniSettings) -> ClipPlan:
    """Return the random plan of original clip ``clip`` (``000`` to ``999``)."""
    name, seed = f"clip/{clip}", settings.seed
    width, height = settings.size
    unit = min(width / 320, height / 240)
    low, high = settings.frames
    frames = int(stream(name, "length", seed).integers(low, high + 1))
    rng = stream(name, "place", seed)
    face_width = float(rng.uniform(95, 122)) * unit
    x = width * 0.5 + float(rng.uniform(-22, 22)) * unit
    y = height * 0.43 + float(rng.uniform(-6, 6)) * unit
    rng = stream(name, "second person", seed)
    second = None
    if rng.random() < TWO_PEOPLE:
        left = rng.random() < 0.5
        face_width = min(face_width, 106 * unit)
        small = float(rng.uniform(0.48, 0.6)) * face_width
        shift, drop = 72 * unit, float(rng.uniform(0, 24)) * unit
        x = width * 0.5 + (shift if left else -shift) * 0.72
        away = width * 0.5 - (shift if left else -shift) * 1.25
        second = (away, y + drop, small)
    rng = stream(name, "absence", seed)
    absent = range(0)
    if rng.random() < ABSENT and second is None:
        gone = max(round(float(rng.uniform(0.2, 0.4)) * frames), 2)
        absent = range(gone) if rng.random() < 0.5 else range(frames - gone, frames)
    return ClipPlan(clip, frames, (x, y), face_width, second, absent)
