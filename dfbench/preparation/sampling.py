"""Which frames of a clip: pure functions from a frame count to indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dfbench.errors import UsageError


@dataclass(frozen=True)
class FrameSampling:
    """A rule that chooses frames.

    Attributes:
        frames: this many, spread evenly from the first frame to the last; or
        every: frames 0, every, 2*every, ...
        max: at most this many of those; None: all.
    """

    frames: int | None = None
    every: int | None = None
    max: int | None = None

    def __post_init__(self) -> None:
        if (self.frames is None) == (self.every is None):
            raise UsageError("choose frames by one rule", "give either --frames K, or --every N with --max M if wanted")
        if self.max is not None and self.every is None:
            raise UsageError("--max goes with --every", "for a fixed number a clip give --frames K alone")
        for name, value in (("--frames", self.frames), ("--every", self.every), ("--max", self.max)):
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, not {value}")

    def indices(self, count: int) -> list[int]:
        """Frame indices for a clip of ``count`` frames, rising, each once.

        >>> FrameSampling(frames=4).indices(10)
        [0, 3, 6, 9]
        >>> FrameSampling(frames=4).indices(2)
        [0, 1]
        >>> FrameSampling(every=30, max=3).indices(100)
        [0, 30, 60]
        """
        if count < 1:
            return []
        if self.frames is not None:
            if count <= self.frames:
                return list(range(count))
            return [int(i) for i in np.round(np.linspace(0, count - 1, self.frames)).astype(np.int64)]
        assert self.every is not None
        return list(range(0, count, self.every))[: self.max]

    @property
    def rows_if_unreadable(self) -> int:
        """Rows that stand for a clip whose frame count can not be known: K, or the maximum, or one."""
        return self.frames or self.max or 1

    @property
    def rows_planned(self) -> int:
        """Rows a clip is expected to give, for cutting shards; 32 where the rule has no bound."""
        return self.frames or self.max or 32

    def to_json(self) -> dict[str, Any]:
        """The rule as it stands in a recipe."""
        if self.frames is not None:
            return {"rule": "frames", "frames": self.frames}
        return {"rule": "every", "every": self.every, "max": self.max}

    @property
    def option(self) -> str:
        """The rule as typed on the command line."""
        if self.frames is not None:
            return f"--frames {self.frames}"
        return f"--every {self.every}" + (f" --max {self.max}" if self.max is not None else "")
