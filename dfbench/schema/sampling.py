"""Frame sampling: rules that map a clip's frame count to frame indices, and totals over many clips."""

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

_RULES = ("frames", "aligned", "every", "all", "random", "clips", "first")
_HINT = (
    "give either frames = K, or aligned = K, every = N (max = M), all, random = K, clips = N of length = L, first = K, "
    "or total_real = N with total_per_method = N"
)
_UNKNOWN_LENGTH = 300  # frames assumed for clips of unknown length in estimates: ten seconds


@dataclass(frozen=True)
class FrameSampling:
    """A rule that selects frames of one clip.

    Exactly one of ``frames``, ``aligned``, ``every``, ``all``, ``random``, ``clips`` and ``first`` is given.

    Attributes:
        frames: number of frames, spaced evenly from the first frame to the last.
        every: step between frames: 0, every, 2*every, ...
        max: with ``every``: largest number of frames; None: no limit.
        all: select every frame.
        random: number of frames sampled without replacement, with a seed derived from the clip's id.
        clips: number of runs of ``length`` consecutive frames, spaced evenly without overlap.
        length: with ``clips``: frames per run.
        first: number of frames from the start, as in DeepfakeBench's preparation; for compatibility only.
        aligned: as ``frames``, but spaced over the shortest clip of the scene group, so that an original and everything
            made from it have the same frame indices.
        seed: with ``random``: another seed selects other frames.
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
    aligned: int | None = None

    def __post_init__(self) -> None:
        given = self._named()
        if len(given) > 1 or not (given or self.max is not None or self.length is not None):
            raise UsageError("give exactly one sampling rule", _HINT)
        if self.max is not None and self.every is None:
            raise UsageError("max requires every (--every N --max M)", "for a fixed number of frames give frames = K")
        if (self.clips is None) != (self.length is None):
            raise UsageError("clips and length must be given together", "for example clips = 4, length = 16")
        if self.seed and self.random is None:
            raise UsageError("seed requires random", "no other rule is random")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("all", "seed") and value is not None and value < 1:
                raise UsageError(f"{field.name} must be at least 1, not {value}", _HINT)

    def indices(self, count: int, media_id: str = "") -> list[int]:
        """Return the frame indices for a clip of ``count`` frames in ascending order, without repetition.

        Args:
            count: number of frames of the clip; with ``aligned`` of the shortest clip of its scene group.
            media_id: the clip's id, which seeds ``random``.

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
        spaced = self.frames or self.aligned
        if spaced is not None and count > spaced:
            return _evenly_spaced(0, count - 1, spaced)
        return list(range(count))[: self.first]

    @property
    def rows_if_unreadable(self) -> int:
        """Number of rows for a clip whose frame count is unknown: the rule's upper bound, or one if it has none."""
        return self._bound or 1

    @property
    def rows_planned(self) -> int:
        """Expected number of rows per clip, for sharding; an estimate where the rule has no upper bound."""
        if self._bound is not None:
            return self._bound
        return _UNKNOWN_LENGTH if self.all else 32

    @property
    def bounded(self) -> bool:
        """Whether the rule limits the rows of a clip."""
        return self._bound is not None

    def _named(self) -> list[str]:
        return [name for name in _RULES if getattr(self, name) is not None and getattr(self, name) is not False]

    @property
    def _bound(self) -> int | None:
        if self.clips is not None and self.length is not None:
            return self.clips * self.length
        return self.frames or self.aligned or self.max or self.random or self.first

    def covers(self, other: Rule, media_frames_known: bool = True) -> bool:
        """Whether this rule selects every frame that ``other`` selects, for clips of any length.

        A random rule covers smaller ones of the same seed, because their frames are the first ones it samples. Frames
        of an aligned rule depend on other clips, so that only an equal rule covers it.

        Args:
            other: the other rule.
            media_frames_known: False where the frame counts are not those of the media, so that only an equal rule
                is known to select the same frames.

        >>> FrameSampling(every=5).covers(FrameSampling(every=30, max=10))
        True
        >>> FrameSampling(frames=32).covers(FrameSampling(frames=16))
        False
        """
        if self == other:
            return True
        if not isinstance(other, FrameSampling) or not media_frames_known or other.aligned is not None:
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
        """Return the rule as recipes contain it."""
        (rule,) = self._named()
        out: dict[str, Any] = {"rule": rule}
        for name in _FIELDS_OF_RULE[rule]:
            out[name] = getattr(self, name)
        return out

    @property
    def option(self) -> str:
        """The rule as command-line options."""
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
    def description(self) -> str:
        """The rule in a message about frames."""
        if self.frames is not None:
            return f"{self.frames} per clip"
        if self.aligned is not None:
            return f"{self.aligned} per clip, with the same indices in all clips of a scene group"
        if self.every is not None:
            return f"every {self.every}" + (f", at most {self.max} per clip" if self.max is not None else "")
        if self.random is not None:
            return f"{self.random} random per clip (seed {self.seed})"
        if self.clips is not None:
            return f"{self.clips} runs of {self.length} per clip"
        return "all" if self.all else f"the first {self.first} per clip"


_FIELDS_OF_RULE: Mapping[str, tuple[str, ...]] = {
    "frames": ("frames",),
    "aligned": ("aligned",),
    "every": ("every", "max"),
    "all": (),
    "random": ("random", "seed"),
    "clips": ("clips", "length"),
    "first": ("first",),
}


@dataclass(frozen=True)
class TotalSampling:
    """A total number of frames per class, distributed evenly over its clips.

    A class is one manipulation (or the reals) of one subset and split. Every clip gives the total divided by the
    number of clips, rounded down; the remainder is distributed one frame per clip in a random order of their ids.
    Shorter clips give fewer frames, which other clips do not compensate.

    Attributes:
        total_real: frames of the reals.
        total_per_method: frames of every manipulation.
        pick: how a clip's frames are selected, ``uniform`` or ``random``.
        seed: another seed gives another order (and other random frames).
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
            raise UsageError(f"unknown pick {self.pick!r}", "pick must be uniform or random")

    def quotas(self, media_ids: Sequence[str], real: bool) -> dict[str, int]:
        """Return the number of frames of every clip of one class; the numbers add up to the total."""
        total = self.total_real if real else self.total_per_method
        order = sorted(media_ids, key=lambda name: (seed_from(name, "quota", self.seed), name))
        each, rest = divmod(total, max(1, len(order)))
        return {name: each + (n < rest) for n, name in enumerate(order)}

    def rule(self, quota: int) -> FrameSampling:
        """Return the rule for a clip with this number of frames (at least 1)."""
        if self.pick == "random":
            return FrameSampling(random=quota, seed=self.seed)
        return FrameSampling(frames=quota)

    def covers(self, other: Rule, media_frames_known: bool = True) -> bool:
        """Whether the totals are the same; quotas depend on the available clips, so that no other rule is covered."""
        return self == other

    def to_json(self) -> dict[str, Any]:
        """Return the rule as recipes contain it."""
        return {"rule": "total", **{field.name: getattr(self, field.name) for field in fields(self)}}

    @property
    def option(self) -> str:
        """The rule as command-line options."""
        return f"--sampling {self.text}"

    @property
    def text(self) -> str:
        """The rule as :func:`parse_rule` reads it."""
        return _text(self.to_json())

    @property
    def description(self) -> str:
        """The rule in a message about frames."""
        how = f"{self.pick}, seed {self.seed}"
        return f"{self.total_real} in total of reals and {self.total_per_method} of every method ({how})"


Rule = FrameSampling | TotalSampling


def make_rule(values: Mapping[str, Any]) -> Rule:
    """Return the rule for named values, as protocols and recipes contain them; None is the same as absent.

    Raises:
        UsageError: the values name no rule or several, or one is out of range.
    """
    given = {name: value for name, value in values.items() if value is not None and name != "rule"}
    if values.get("rule") == "all":
        given["all"] = True
    kind = TotalSampling if {"total_real", "total_per_method", "pick"} & set(given) else FrameSampling
    unknown = sorted(set(given) - {field.name for field in fields(kind)})
    if unknown and kind is TotalSampling and any(name in _RULES for name in unknown):
        raise UsageError("give exactly one sampling rule", _HINT)
    if unknown:
        raise UsageError(f"{', '.join(unknown)} cannot be used in this sampling rule", _HINT)
    if kind is TotalSampling and not {"total_real", "total_per_method"} <= set(given):
        raise UsageError("total_real and total_per_method must be given together", _HINT)
    return kind(**given)


def parse_rule(text: str) -> Rule:
    """Parse a rule: ``all``, or comma-separated ``name=value`` pairs with the names that protocols use.

    Raises:
        UsageError: the text is not a rule.

    >>> parse_rule("every=30,max=10")
    FrameSampling(frames=None, every=30, max=10, all=False, random=None, clips=None, length=None, first=None, seed=0, \
aligned=None)
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
                f"cannot parse the sampling rule {text!r} at {item.strip()!r}",
                "examples: frames=32   aligned=32   every=30,max=10   all   random=20   clips=4,length=16   first=32",
            )
    return make_rule(values)


def draw(count: int, number: int, identity: str, seed: int = 0) -> list[int]:
    """Sample ``number`` integers below ``count`` without replacement (all if there are fewer), in random order.

    A smaller ``number`` gives the first of them. Only ``Random.random`` is used, whose sequence Python guarantees.
    """
    generator = random.Random(seed_from(identity, "frames", seed))
    moved: dict[int, int] = {}  # a Fisher-Yates shuffle of range(count) that stores only the entries it has moved
    out = []
    for n in range(min(number, count)):
        at = n + int(generator.random() * (count - n))
        out.append(moved.get(at, at))
        moved[at] = moved.get(n, n)
    return out


def _evenly_spaced(low: int, high: int, number: int) -> list[int]:
    return [int(i) for i in np.round(np.linspace(low, high, number)).astype(np.int64)]


def _runs(count: int, clips: int, length: int) -> list[int]:
    if count <= length:
        return list(range(count))
    # At most as many runs as fit without overlap: the starts are then at least one run apart.
    starts = _evenly_spaced(0, count - length, min(clips, count // length))
    return [start + n for start in starts for n in range(length)]


def _text(values: Mapping[str, Any]) -> str:
    given = [f"{name}={value}" for name, value in values.items() if name != "rule" and value is not None]
    return ",".join(given) or str(values["rule"])
