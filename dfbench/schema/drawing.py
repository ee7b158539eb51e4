"""Drawing media and cutting splits by lot: what a protocol does where a data set or a paper publishes no list.

Lots depend on ids alone, so that the same media are drawn on every machine and in any order.
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
"""What stays whole in a cut. Only ``scene_group`` keeps the scenes and faces of training data out of the test."""

_LOTS = 2.0**64


@dataclass(frozen=True)
class Take:
    """So many media, drawn by lot among those of a data part.

    Attributes:
        real: real media; None: all.
        fake: fake media, over all methods; None: all.
        seed: another seed, other media.
    """

    real: int | None = None
    fake: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.real is None and self.fake is None:
            raise UsageError("take says neither how many real nor how many fake media", "take = { real = 3399 }")
        if any(number is not None and number < 1 for number in (self.real, self.fake)):
            raise UsageError("take must ask for at least one medium", "leave real or fake away to take all of them")

    def number(self, label: int) -> int | None:
        """How many media of a label; None: all."""
        return {REAL: self.real, FAKE: self.fake}[label]

    def drawn(self, media: Iterable[tuple[str, int]]) -> set[str]:
        """Ids of the drawn media. A larger take of the same seed draws these too.

        Args:
            media: id and label of every medium to draw from, each once, in any order.

        >>> sorted(Take(real=1).drawn([("a", 0), ("b", 0), ("c", 1)]))
        ['b', 'c']
        """
        ids: dict[int, list[str]] = {REAL: [], FAKE: []}
        for name, label in media:
            ids[label].append(name)
        return {name for label, names in ids.items() for name in self._first(names, self.number(label))}

    def covers(self, other: Take | None) -> bool:
        """Whether everything that ``other`` draws is drawn here too, from the same media."""
        if other is None:
            return False
        return self.seed == other.seed and all(
            mine is None or (theirs is not None and theirs <= mine)
            for mine, theirs in ((self.real, other.real), (self.fake, other.fake))
        )

    def _first(self, names: list[str], number: int | None) -> list[str]:
        return names if number is None else sorted(names, key=lambda n: (seed_from(n, "take", self.seed), n))[:number]


@dataclass(frozen=True)
class Share:
    """A share of the media, cut by lot: every unit has a place in [0, 1), and those in [start, stop) belong here.

    The shares are of the units, so that those of the samples are only about as large.

    Attributes:
        start: where the share begins.
        stop: where it ends, itself outside.
        by: what stays whole.
        seed: another seed, another cut.
    """

    start: float = 0.0
    stop: float = 1.0
    by: Unit = "scene_group"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= 1:
            raise UsageError(
                f"a share must lie within 0 and 1, not from {self.start:g} to {self.stop:g}",
                "share = { start = 0.0, stop = 0.9 }",
            )

    def holds(self, units: Iterable[str]) -> npt.NDArray[np.bool_]:
        """Which units, named by their ids, belong to the share: bool, one a unit.

        >>> Share(0.0, 0.5).holds(["a", "b", "a"]).tolist()
        [False, True, False]
        """
        names = list(units)
        known = {name: self._has(name) for name in set(names)}
        return np.array([known[name] for name in names], bool)

    def apart_from(self, other: Share) -> bool:
        """Whether nothing can belong to both."""
        same_cut = (self.by, self.seed) == (other.by, other.seed)
        return same_cut and (self.stop <= other.start or other.stop <= self.start)

    def _has(self, unit: str) -> bool:
        return self.start <= seed_from(unit, "share", self.seed) / _LOTS < self.stop
