"""What every reader shares: a frame, the rule that requests frames, and the collection of the requested ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UsageError
from dfbench.media.limits import BATCH_BYTES, beat

T = TypeVar("T")

BATCH_FRAMES = 16
"""Frames per call of a :data:`FrameCallback`: 100 MB at 1080p, whatever the length of a clip. Frames that are so large
that sixteen exceed :data:`~dfbench.media.limits.BATCH_BYTES` are passed in smaller batches.

Face detectors know nothing of the frames before a batch. A detector that reuses results within blocks of frames loses
nothing as long as their length divides this number.
"""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: frame number from 0.
        time_s: presentation time in seconds as stored in the container; ``None`` for still images and for clips
            that store no presentation times.
        image: uint8 array (height, width, 3), RGB, upright (orientation of the container applied).
    """

    index: int
    time_s: float | None
    image: NDArray[np.uint8]


Chooser = Callable[[int], Sequence[int]]
"""Number of frames that decode -> the requested frame numbers, in any order."""

FrameCallback = Callable[[Sequence[Frame]], Sequence[T]]
"""Frames in rising order, at most :data:`BATCH_FRAMES` of them -> one result per frame, kept instead of the frame.

It is called again from the first frame on if the clip has to be read a second time by another method.
"""


@dataclass(frozen=True)
class StreamFacts:
    """What the container of a clip states about its video.

    Attributes:
        format: container, as FFmpeg names it.
        codec: of the video stream, as FFmpeg names it.
        fps: average frames per second; None where it is not stated.
        pixel_aspect: width of a pixel divided by its height; 1 where nothing is stated.
    """

    format: str
    codec: str
    fps: float | None
    pixel_aspect: float


@dataclass(frozen=True, eq=False)
class Reading(Generic[T]):
    """The requested frames of one clip, image or image sequence.

    Attributes:
        frame_count: number of frames up to the last one that decodes.
        width: width of an upright frame in pixels.
        height: height of an upright frame in pixels.
        fps: average frames per second; None where the container does not state it.
        frames: frame number -> frame, for the requested ones that decode; empty if a callback was given.
        errors: frame number -> reason, for the requested ones that do not decode.
        mode: ``"index"`` if only what the requested frames need was decoded, ``"sequential"`` if everything
            was, ``"image"`` for still images and image sequences.
        results: frame number -> result of the callback; empty without a callback.
        times: frame number -> presentation time in seconds, for every frame in ``frames`` or ``results``.
        stream: what the container of a clip states; None where the decoder does not tell, and for images.
    """

    frame_count: int
    width: int
    height: int
    fps: float | None
    frames: Mapping[int, Frame]
    errors: Mapping[int, str]
    mode: Literal["index", "sequential", "image"]
    results: Mapping[int, T] = field(default_factory=dict)
    times: Mapping[int, float | None] = field(default_factory=dict)
    stream: StreamFacts | None = None

    def subset(self, numbers: Sequence[int]) -> Reading[T]:
        """Return the reading with only these frame numbers."""
        return replace(
            self,
            frames=_only(self.frames, numbers),
            errors=_only(self.errors, numbers),
            results=_only(self.results, numbers),
            times=_only(self.times, numbers),
        )


def _only(values: Mapping[int, Any], numbers: Sequence[int]) -> dict[int, Any]:
    return {number: values[number] for number in numbers if number in values}


@dataclass(frozen=True, eq=False)
class Decoder:
    """A registered video decoder.

    Attributes:
        read: ``(path, choose, callback) -> Reading``, see :func:`dfbench.media.read`. It raises ``DataError`` for a
            file that it cannot decode. :class:`FrameCollector` does the bookkeeping.
        summary: one line of help.
        check: raises ``SetupError`` where something it needs is not installed.
    """

    read: Callable[[Path, Chooser, FrameCallback[Any] | None], Reading[Any]]
    summary: str = ""
    check: Callable[[], object] = lambda: None


def requested_frames(choose: Chooser, count: int, path: Path) -> list[int]:
    """Return the sorted, distinct frame numbers that ``choose`` requests from ``count`` frames.

    Raises:
        UsageError: a requested frame does not exist.
    """
    numbers = sorted({int(i) for i in choose(count)})
    outside = [i for i in numbers if not 0 <= i < count]
    if outside:
        raise UsageError(
            f"frame {outside[0]} of {path} was requested, but the clip has {count} frames",
            f"frame numbers run from 0 to {count - 1}",
        )
    return numbers


class FrameCollector:
    """Collects the requested frames of one pass as they are decoded, or the results of a callback.

    Args:
        callback: called with the frames, one batch at a time; ``None`` keeps the frames themselves.

    Attributes:
        size: height and width in pixels of the first frame that was added; ``None`` before.
        times: frame number -> presentation time in seconds, for all frames that were added.
    """

    def __init__(self, callback: FrameCallback[Any] | None) -> None:
        self._callback = callback
        self._batch: list[Frame] = []
        self._frames: dict[int, Frame] = {}
        self._results: dict[int, Any] = {}
        self.times: dict[int, float | None] = {}
        self.size: tuple[int, int] | None = None

    def add(self, frame: Frame) -> None:
        """Add the next requested frame; frame numbers must rise."""
        beat()
        if self.size is None:
            self.size = frame.image.shape[0], frame.image.shape[1]
        self.times[frame.index] = frame.time_s
        if self._callback is None:
            self._frames[frame.index] = frame
            return
        # The limit depends on the frames alone: on every machine the same frames make a batch.
        if self._batch and sum(f.image.nbytes for f in self._batch) + frame.image.nbytes > BATCH_BYTES:
            self.flush()
        self._batch.append(frame)
        if len(self._batch) == BATCH_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Pass the last, incomplete batch to the callback; must be called at the end of a pass."""
        if self._callback is not None and self._batch:
            batch, self._batch = self._batch, []
            for frame, result in zip(batch, self._callback(batch), strict=True):
                self._results[frame.index] = result
            beat()

    def discard(self, numbers: Iterable[int]) -> None:
        """Forget frames that turned out to be damaged after they had been added."""
        for number in numbers:
            self.times.pop(number, None)
            self._frames.pop(number, None)
            self._results.pop(number, None)

    def clear_times(self) -> None:
        """Set all times to ``None``, for clips whose times do not rise and so are not presentation times."""
        self.times = dict.fromkeys(self.times)
        self._frames = {i: replace(frame, time_s=None) for i, frame in self._frames.items()}

    def reading(
        self,
        numbers: Sequence[int],
        frame_count: int,
        fps: float | None,
        mode: Literal["index", "sequential", "image"],
        errors: Mapping[int, str] | None = None,
        stream: StreamFacts | None = None,
    ) -> Reading[Any]:
        """Return what was collected; at least one frame must have been added, or :attr:`size` set.

        Args:
            numbers: the requested frame numbers; other frames that were added are dropped.
            frame_count: frames of the clip.
            fps: frames per second; None if unknown.
            mode: how the clip was read.
            errors: frame number -> reason, for the requested frames that do not decode.
            stream: what the container of a clip states; without it, the file is opened once more to learn it.
        """
        assert self.size is not None
        height, width = self.size
        collected = (self._frames, errors or {}, mode, self._results, self.times)
        return Reading(frame_count, width, height, fps, *collected, stream).subset(numbers)
