"""Which frames of a clip: pure functions from a frame count to indices; and totals over many clips."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from dfbench.errors import UsageError
from dfbench.schema.ids import seed_from

FaceRule = Literal["largest", "track", "all", "manipulated"]
FACE_RULES: tuple[FaceRule, ...] = ("largest", "track", "all", "manipulated")
"""Which faces of a frame become rows; see :mod:`dfbench.preparation.extraction.face_selection`."""

_RULES = ("frames", "every", "all", "random", "clips", "first")
_HINT = (
    "give either frames = K, or every = N (max = M), all, random = K, clips = N of length = L, first = K, "
    "or total_real = N with total_per_method = N"
)
# Stands for clips of unknown length where work is estimated: ten seconds.
_UNKNOWN_LENGTH = 300


@dataclass(frozen=True)
class FrameSampling:
    """A rule that chooses frames of one clip; exactly one of the fields before ``seed`` names it.

    Attributes:
        frames: this many, spread evenly from the first frame to the last; or
        every: frames 0, every, 2*every, ...
        max: with ``every``: at most this many of those; None: all.
        all: every frame; or
        random: this many drawn without replacement, by a seed that is made of the clip's id; or
        clips: this many runs of ``length`` neighbouring frames, spread evenly, none overlapping; or
        length: with ``clips``: frames of a run.
        first: the first so many frames, as DeepfakeBench's preparation takes them; for compatibility only.
        seed: with ``random``: another seed, other frames.
    """

    frames: int | None = None
    every: int | None = None
    max: int | None = None
    all: bool = False
    random: int | None = None
    clips: int | None = None
    length: int | None = None
    first: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        given = self._named()
        if len(given) > 1 or not (given or self.max is not None or self.length is not None):
            raise UsageError("choose frames by one rule", _HINT)
        if self.max is not None and self.every is None:
            raise UsageError("max goes with every (--every N --max M)", "for a fixed number give frames = K")
        if (self.clips is None) != (self.length is None):
            raise UsageError("clips and length go together", "for example clips = 4, length = 16")
        if self.seed and self.random is None:
            raise UsageError("seed goes with random", "no other rule draws anything")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("all", "seed") and value is not None and value < 1:
                raise UsageError(f"{field.name} must be at least 1, not {value}", _HINT)

    def indices(self, count: int, media_id: str = "") -> list[int]:
        """Frame indices for a clip of ``count`` frames, rising, each once.

        Args:
            count: frames of the clip.
            media_id: whose frames; ``random`` draws others for every id.

        >>> FrameSampling(frames=4).indices(10)
        [0, 3, 6, 9]
        >>> FrameSampling(frames=4).indices(2)
        [0, 1]
        >>> FrameSampling(every=30, max=3).indices(100)
        [0, 30, 60]
        >>> FrameSampling(clips=2, length=3).indices(10)
        [0, 1, 2, 7, 8, 9]
        """
        if count < 1:
            return []
        if self.every is not None:
            return list(range(0, count, self.every))[: self.max]
        if self.random is not None:
            return sorted(draw(count, self.random, media_id, self.seed))
        if self.clips is not None and self.length is not None:
            return _runs(count, self.clips, self.length)
        if self.frames is not None and count > self.frames:
            return _spread(0, count - 1, self.frames)
        return list(range(count))[: self.first]

    @property
    def rows_if_unreadable(self) -> int:
        """Rows that stand for a clip whose frame count can not be known: as many as the rule can bound, else one."""
        return self._bound or 1

    @property
    def rows_planned(self) -> int:
        """Rows a clip is expected to give, for cutting shards; a guess where the rule has no bound."""
        if self._bound is not None:
            return self._bound
        return _UNKNOWN_LENGTH if self.all else 32

    @property
    def bounded(self) -> bool:
        """Whether the rule itself limits the rows of a clip."""
        return self._bound is not None

    def _named(self) -> list[str]:
        return [name for name in _RULES if getattr(self, name) is not None and getattr(self, name) is not False]

    @property
    def _bound(self) -> int | None:
        if self.clips is not None and self.length is not None:
            return self.clips * self.length
        return self.frames or self.max or self.random or self.first

    def covers(self, other: Rule, media_frames_known: bool = True) -> bool:
        """Whether every frame that ``other`` wants is among mine, for clips of any length.

        Only what holds for every length counts; a random rule covers smaller ones of its seed, since they draw the
        same frames first.

        >>> FrameSampling(every=5).covers(FrameSampling(every=30, max=10))
        True
        >>> FrameSampling(frames=32).covers(FrameSampling(frames=16))
        False
        """
        if self == other:
            return True
        if not isinstance(other, FrameSampling) or not media_frames_known:
            return False
        if self.all:
            return True
        if self.every is not None and other.every is not None and other.every % self.every == 0:
            last = None if other.max is None else (other.max - 1) * (other.every // self.every)
            return self.max is None or (last is not None and last < self.max)
        for name in ("random", "first"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None:
                return bool(theirs <= mine and self.seed == other.seed)
        return False

    def to_json(self) -> dict[str, Any]:
        """The rule as it stands in a recipe."""
        (rule,) = self._named()
        out: dict[str, Any] = {"rule": rule}
        for name in _TOGETHER[rule]:
            out[name] = getattr(self, name)
        return out

    @property
    def option(self) -> str:
        """The rule as typed on the command line."""
        if self.frames is not None:
            return f"--frames {self.frames}"
        if self.every is not None:
            return f"--every {self.every}" + (f" --max {self.max}" if self.max is not None else "")
        return f"--sampling {self.text}"

    @property
    def text(self) -> str:
        """The rule as :func:`parse_rule` reads it."""
        return _text(self.to_json())

    @property
    def words(self) -> str:
        """The rule for people, in a message about frames."""
        if self.frames is not None:
            return f"{self.frames} a clip"
        if self.every is not None:
            return f"every {self.every}, at most {self.max}"
        if self.random is not None:
            return f"{self.random} random ones a clip (seed {self.seed})"
        if self.clips is not None:
            return f"{self.clips} runs of {self.length}"
        return "all" if self.all else f"the first {self.first}"


_TOGETHER: Mapping[str, tuple[str, ...]] = {
    "frames": ("frames",),
    "every": ("every", "max"),
    "all": (),
    "random": ("random", "seed"),
    "clips": ("clips", "length"),
    "first": ("first",),
}


@dataclass(frozen=True)
class TotalSampling:
    """A number of frames of a whole class, spread evenly over its clips.

    A class is one manipulation (or the reals) of one subset and split. Every clip gives the total divided by the
    number of clips; what is left over is one frame more for clips in an order drawn from their ids. Clips shorter
    than that give fewer, and nobody makes up for them.

    Attributes:
        total_real: frames of the reals.
        total_per_method: frames of every manipulation.
        pick: how a clip's frames are chosen, ``uniform`` or ``random``.
        seed: another seed, another order (and other frames).
    """

    total_real: int
    total_per_method: int
    pick: Literal["uniform", "random"] = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("total_real", "total_per_method"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}", _HINT)
        if self.pick not in ("uniform", "random"):
            raise UsageError(f"unknown pick {self.pick!r}", "it is uniform or random")

    def quotas(self, media_ids: Sequence[str], real: bool) -> dict[str, int]:
        """Frames of every clip of one class; their sum is the total."""
        total = self.total_real if real else self.total_per_method
        order = sorted(media_ids, key=lambda name: (seed_from(name, "quota", self.seed), name))
        share, left = divmod(total, max(1, len(order)))
        return {name: share + (n < left) for n, name in enumerate(order)}

    def rule(self, quota: int) -> FrameSampling:
        """How a clip with this quota (at least 1) gives its frames."""
        if self.pick == "random":
            return FrameSampling(random=quota, seed=self.seed)
        return FrameSampling(frames=quota)

    def covers(self, other: Rule, media_frames_known: bool = True) -> bool:
        """Only the same totals: quotas depend on the clips that are there."""
        return self == other

    def to_json(self) -> dict[str, Any]:
        """The rule as it stands in a recipe."""
        return {"rule": "total", **{field.name: getattr(self, field.name) for field in fields(self)}}

    @property
    def option(self) -> str:
        """The rule as typed on the command line."""
        return f"--sampling {self.text}"

    @property
    def text(self) -> str:
        """The rule as :func:`parse_rule` reads it."""
        return _text(self.to_json())

    @property
    def words(self) -> str:
        """The rule for people, in a message about frames."""
        draw_by = f", {self.pick}, seed {self.seed}"
        return f"{self.total_real} in all of reals, {self.total_per_method} of every method{draw_by}"


Rule = FrameSampling | TotalSampling


def make_rule(values: Mapping[str, Any]) -> Rule:
    """The rule of named values, as protocols and recipes hold them; None and absent are the same.

    Raises:
        UsageError: the values name no rule, or several, or one is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None and name != "rule"}
    if values.get("rule") == "all":
        given["all"] = True
    kind = TotalSampling if {"total_real", "total_per_method", "pick"} & set(given) else FrameSampling
    unknown = sorted(set(given) - {field.name for field in fields(kind)})
    if unknown and kind is TotalSampling and any(name in _RULES for name in unknown):
        raise UsageError("choose frames by one rule", _HINT)
    if unknown:
        raise UsageError(f"{', '.join(unknown)} can not stand in this sampling rule", _HINT)
    if kind is TotalSampling and not {"total_real", "total_per_method"} <= set(given):
        raise UsageError("total_real and total_per_method go together", _HINT)
    return kind(**given)


def parse_rule(text: str) -> Rule:
    """A rule from text: ``all``, or ``name=value`` pairs with commas, in the names that protocols use.

    Raises:
        UsageError: the text is no rule.

    >>> parse_rule("every=30,max=10")
    FrameSampling(frames=None, every=30, max=10, all=False, random=None, clips=None, length=None, first=None, seed=0)
    >>> parse_rule("total_real=50000,total_per_method=12500").text
    'total_real=50000,total_per_method=12500,pick=uniform,seed=0'
    """
    values: dict[str, Any] = {}
    for item in text.split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if (name, sign) == ("all", ""):
            values["all"] = True
        elif name == "pick":
            values[name] = value
        elif sign and value.lstrip("-").isdigit() and name != "all":
            values[name] = int(value)
        else:
            raise UsageError(
                f"the sampling rule {text!r} can not be read at {item.strip()!r}",
                "write it like frames=32, every=30,max=10, all, random=20, clips=4,length=16 or first=32",
            )
    return make_rule(values)


def draw(count: int, number: int, identity: str, seed: int = 0) -> list[int]:
    """``number`` of the numbers below ``count`` without replacement (all if there are fewer), in the order drawn.

    A smaller number draws the same ones first. Only ``Random.random`` is used, whose sequence Python guarantees.
    """
    generator = random.Random(seed_from(identity, "frames", seed))
    moved: dict[int, int] = {}  # a Fisher-Yates shuffle of range(count), of which only the touched places are kept
    out = []
    for n in range(min(number, count)):
        at = n + int(generator.random() * (count - n))
        out.append(moved.get(at, at))
        moved[at] = moved.get(n, n)
    return out


def _spread(low: int, high: int, number: int) -> list[int]:
    return [int(i) for i in np.round(np.linspace(low, high, number)).astype(np.int64)]


def _runs(count: int, clips: int, length: int) -> list[int]:
    if count <= length:
        return list(range(count))
    # As many as fit side by side: the places between the starts are then never shorter than a run.
    starts = _spread(0, count - length, min(clips, count // length))
    return [start + n for start in starts for n in range(length)]


def _text(values: Mapping[str, Any]) -> str:
    given = [f"{name}={value}" for name, value in values.items() if name != "rule" and value is not None]
    return ",".join(given) or str(values["rule"])
