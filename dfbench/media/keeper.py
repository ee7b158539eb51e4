"""The wanted frames of one pass over a clip: kept as they are, or looked at a few at a time and let go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: frame number from 0.
        time_s: presentation time in seconds as the container gives it; ``None`` for pictures and for clips
            that store no such times.
        image: uint8 array (height, width, 3), RGB, upright (rotation of the container applied).
    """

    index: int
    time_s: float | None
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What a :data:`Look` made of a frame.

    Attributes:
        time_s: presentation time of the frame in seconds; ``None`` as in :class:`Frame`.
        made: the look's own.
    """

    time_s: float | None
    made: Any


Look = Callable[[Sequence[Frame]], Sequence[Any]]
"""Frames in rising order, at most :data:`AT_ONCE` of them -> what is to be kept of each in its stead.

It is called again from the first frame on where a clip turns out to need another way of reading.
"""

AT_ONCE = 8
"""Frames in memory at a time where they are looked at: 50 MB at 1080p, whatever the length of a clip.

Face detectors know nothing of the frames before these. One that looks less closely between full looks loses nothing
as long as the number of frames between its full looks divides this one.
"""


class Keeper:
    """Takes the wanted frames of one pass as they are decoded.

    Args:
        look: what to do with them; ``None`` keeps them.

    Attributes:
        frames: frame number -> frame, without a look.
        seen: frame number -> what the look made of it.
        size: height and width of the first frame that was taken; ``None`` before.
    """

    def __init__(self, look: Look | None) -> None:
        self._look = look
        self._waiting: list[Frame] = []
        self.frames: dict[int, Frame] = {}
        self.seen: dict[int, Glimpse] = {}
        self.size: tuple[int, int] | None = None

    def add(self, frame: Frame) -> None:
        """Take the next wanted frame; numbers rise."""
        if self.size is None:
            self.size = frame.image.shape[0], frame.image.shape[1]
        if self._look is None:
            self.frames[frame.index] = frame
            return
        self._waiting.append(frame)
        if len(self._waiting) == AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Look at what is waiting; to be called at the end of a pass."""
        if self._look is not None and self._waiting:
            waiting, self._waiting = self._waiting, []
            for frame, made in zip(waiting, self._look(waiting), strict=True):
                self.seen[frame.index] = Glimpse(frame.time_s, made)

    def forget_times(self) -> None:
        """Times that do not rise are not times of presentation."""
        self.frames = {i: replace(frame, time_s=None) for i, frame in self.frames.items()}
        self.seen = {i: replace(glimpse, time_s=None) for i, glimpse in self.seen.items()}

    def of(self, numbers: Sequence[int]) -> tuple[dict[int, Frame], dict[int, Glimpse]]:
        """Frames and glimpses of these numbers alone."""
        return (
            {i: self.frames[i] for i in numbers if i in self.frames},
            {i: self.seen[i] for i in numbers if i in self.seen},
        )
