"""Random subsets and fractional splits of media, for protocols where neither data set nor paper publishes a list.

Both depend only on ids, so that every machine selects the same media, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dfbench.errors import UsageError
from dfbench.schema.ids import seed_from
from dfbench.schema.media import FAKE, REAL

Unit = Literal["scene_group", "media", "frame"]
"""What a fractional split keeps together. Only ``scene_group`` keeps scenes and faces of training data out of the test
part."""

_HASHES = 2.0**64


@dataclass(frozen=True)
class RandomSubset:
    """A number of media of a data part, sampled at random: ``take`` in protocol files.

    Attributes:
        real: number of real media; None: all.
        fake: number of fake media over all methods; None: all.
        seed: another seed selects other media.
    """

    real: int | None = None
    fake: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.real is None and self.fake is None:
            raise UsageError("take needs a number of real or of fake media", "take = { real = 3399 }")
        if any(number is not None and number < 1 for number in (self.real, self.fake)):
            raise UsageError("the numbers of take must be at least 1", "omit real or fake to use all of them")

    def __str__(self) -> str:
        """Return the numbers as text.

        >>> str(RandomSubset(real=7))
        '7 real, all fake, seed 0'
        """
        real, fake = ("all" if number is None else number for number in (self.real, self.fake))
        return f"{real} real, {fake} fake, seed {self.seed}"

    def number(self, label: int) -> int | None:
        """Return the number of media of a label; None: all."""
        return {REAL: self.real, FAKE: self.fake}[label]

    def select(self, media: Iterable[tuple[str, int]]) -> set[str]:
        """Return the ids of the selected media. A larger subset of the same seed contains them too.

        Args:
            media: id and label of every medium to select from, each once, in any order.

        >>> sorted(RandomSubset(real=1).select([("a", 0), ("b", 0), ("c", 1)]))
        ['b', 'c']
        """
        ids: dict[int, list[str]] = {REAL: [], FAKE: []}
        for name, label in media:
            ids[label].append(name)
        return {name for label, names in ids.items() for name in self._first(names, self.number(label))}

    def covers(self, other: RandomSubset | None) -> bool:
        """Whether everything that ``other`` selects from the same media is selected here too."""
        if other is None:
            return False
        return self.seed == other.seed and all(
            mine is None or (theirs is not None and theirs <= mine)
            for mine, theirs in ((self.real, other.real), (self.fake, other.fake))
        )

    def _first(self, names: list[str], number: int | None) -> list[str]:
        return names if number is None else sorted(names, key=lambda n: (seed_from(n, "take", self.seed), n))[:number]


@dataclass(frozen=True)
class FractionalSplit:
    """A fraction of the media, split at random: ``share`` in protocol files.

    A hash gives every unit a position in [0, 1); units in [start, stop) belong to the split. The fraction holds for
    units, and only approximately for samples.

    Attributes:
        start: where the split begins.
        stop: where it ends, exclusive.
        by: what is kept together.
        seed: another seed gives another split.
    """

    start: float = 0.0
    stop: float = 1.0
    by: Unit = "scene_group"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= 1:
            raise UsageError(
                f"a share must lie between 0 and 1, not from {self.start:g} to {self.stop:g}",
                "share = { start = 0.0, stop = 0.9 }",
            )

    def contains(self, units: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Return which units, given by their ids, belong to the split: bool, one per unit.

        >>> FractionalSplit(0.0, 0.5).contains(["a", "b", "a"]).tolist()
        [False, True, False]
        """
        names = list(units)
        known = {name: self._has(name) for name in set(names)}
        return np.array([known[name] for name in names], bool)

    def disjoint(self, other: FractionalSplit) -> bool:
        """Whether no unit can belong to both."""
        same_split = (self.by, self.seed) == (other.by, other.seed)
        return same_split and (self.stop <= other.start or other.stop <= self.start)

    def _has(self, unit: str) -> bool:
        return self.start <= seed_from(unit, "share", self.seed) / _HASHES < self.stop
