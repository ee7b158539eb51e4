"""Decode exact frames of a clip with PyAV: by an index and seeks if that is safe, else by decoding everything.

An mp4 file holds an index itself (:mod:`dfbench.media.container_index`); of other containers, all packets are listed
first. Decoding a part of a clip rests on three facts. The packets of a clip list its frames without decoding any; a
decoder started at a keyframe needs nothing before it; and a frame that no other frame refers to (most B-frames of
x264) can be skipped unless it is requested. Frames are selected by presentation time, so a seek that lands elsewhere
cannot return a wrong frame: it returns none, and then everything is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from dfbench.errors import DataError
from dfbench.media.container import Clip, PacketIndex, index_packets, open_clip, packets_of, reason
from dfbench.media.container_index import UnsafeIndexError, container_index, indexed_frames
from dfbench.media.damage import DamageRecord, DecodedFrame
from dfbench.media.frames import (
    Chooser,
    Frame,
    FrameCallback,
    FrameCollector,
    Reading,
    StreamFacts,
    requested_frames,
)
from dfbench.media.limits import beat, lacks_memory


@dataclass(frozen=True)
class _Pass:
    """One decoding of a whole clip: presentation time of every frame in order, and the requested frames.

    ``damaged`` holds the reason of every requested frame that shows damage, by its number; ``failures`` holds what went
    wrong, packet by packet.
    """

    times: list[int | None]
    collected: FrameCollector
    damaged: dict[int, str]
    failures: list[str]
    stream: StreamFacts


class _Failures:
    """What went wrong in one pass."""

    def __init__(self, record: DamageRecord) -> None:
        self.texts: list[str] = []
        self._record = record

    def sent(self, pts: int | None) -> None:
        """Record the packet that is decoded next."""
        self._record.sent(pts)

    def add(self, error: BaseException) -> None:
        """Keep the reason of an error that loses no packet."""
        if lacks_memory(error):
            raise MemoryError(reason(error)) from error
        self.texts.append(reason(error))

    def lost(self, error: BaseException) -> None:
        """Record that the last packet does not decode."""
        self.add(error)
        self._record.failed()


def read_clip(path: Path, choose: Chooser, callback: FrameCallback[Any] | None = None) -> Reading[Any]:
    """Decode the requested frames of a clip; see :func:`dfbench.media.reader.read`."""
    try:
        reading = _read_by_container(path, choose, callback)
    except UnsafeIndexError:
        reading = None
    if reading is not None:
        return reading
    index = index_packets(path)
    if index.packets == 0:
        raise DataError(f"{path} holds no video packet", "the file is truncated: copy or download it again")
    if index.trusted and index.whole:
        numbers = requested_frames(choose, len(index.pts), path)
        try:
            return _read_indexed(path, index, numbers, callback)
        except UnsafeIndexError:
            pass
    return _read_sequential(path, index, choose, callback)


def _read_by_container(path: Path, choose: Chooser, callback: FrameCallback[Any] | None) -> Reading[Any] | None:
    """Decode the requested frames in one pass by the index that the container holds; None if there is none to rely on.

    Raises:
        UnsafeIndexError: the packets contradict the index, or a frame is damaged or missing.
    """
    with open_clip(path) as clip:
        stream = clip.facts()
        index = container_index(clip, path)
        if index is None:
            return None
        numbers = requested_frames(choose, len(index), path)
        collected = FrameCollector(callback if numbers else None)
        for frame in indexed_frames(clip, index, numbers or [0]):
            collected.add(frame)
    collected.flush()
    return collected.reading(numbers, len(index), stream.fps, "index", stream=stream)


def _read_indexed(
    path: Path, index: PacketIndex, numbers: list[int], callback: FrameCallback[Any] | None
) -> Reading[Any]:
    """Seek from group to group and decode only what the requested frames need.

    Raises:
        UnsafeIndexError: a frame is damaged or missing, or a seek did not land on its keyframe.
    """
    collected = FrameCollector(callback if numbers else None)
    with open_clip(path) as clip:
        stream = clip.facts()
        # If nothing is requested, frame 0 is decoded: a clip of which nothing decodes must not count as readable.
        for frame in _indexed_frames(clip, index, numbers or [0]):
            collected.add(frame)
    collected.flush()
    return collected.reading(numbers, len(index.pts), stream.fps, "index", stream=stream)


def _indexed_frames(clip: Clip, index: PacketIndex, numbers: list[int]) -> Iterator[Frame]:
    try:
        for key, group in _groups(index, numbers):
            if key is not None:
                clip.container.seek(key, stream=clip.stream, backward=True)
                clip.codec.flush_buffers()
            by_time = {int(index.pts[i]): i for i in group}
            for pts, decoded in _decode_group(clip, by_time, key):
                yield clip.frame(by_time[pts], decoded)
    except (av.FFmpegError, OSError, ValueError) as error:
        if lacks_memory(error):
            raise MemoryError(reason(error)) from error
        raise UnsafeIndexError(reason(error)) from error


def _groups(index: PacketIndex, numbers: list[int]) -> Iterator[tuple[int | None, list[int]]]:
    """Split the requested frames into runs: (keyframe to seek to, or ``None`` to read on; frame numbers)."""
    # The keyframe at or before each frame. Leading B-frames of an open group are shown before their keyframe and
    # so belong, correctly, to the group before, which they refer to.
    starts = np.searchsorted(index.keys, index.pts[numbers], "right") - 1
    current = 0
    for group in np.unique(starts):
        members = [number for number, start in zip(numbers, starts, strict=True) if start == group]
        yield (int(index.keys[group]) if group > current else None), members
        current = int(group)


def _decode_group(clip: Clip, by_time: dict[int, int], key: int | None) -> Iterator[tuple[int, Any]]:
    """Decode from the current position until every time in ``by_time`` was found; yield (pts, frame)."""
    missing = set(by_time)
    first = True
    last: int | None = None
    for packet in packets_of(clip.container, clip.stream):
        if first and key is not None and not (packet.is_keyframe and packet.pts is not None and packet.pts <= key):
            raise UnsafeIndexError("the seek did not land on a keyframe")
        first = False
        needed = packet.pts is None or packet.pts in missing or packet.is_keyframe
        clip.codec.skip_frame = "DEFAULT" if needed else "NONREF"
        for frame in _decode(packet):
            if frame.is_corrupt:
                # Whether other frames refer to it is known only if all are decoded.
                raise UnsafeIndexError("a frame is damaged")
            # Decoders return frames in the order they are shown: times that disagree are not reliable.
            if frame.pts is None or (last is not None and frame.pts <= last):
                raise UnsafeIndexError("times do not follow the order of frames")
            last = frame.pts
            if frame.pts in missing:
                missing.discard(frame.pts)
                yield frame.pts, frame
        if not missing:
            return
    raise UnsafeIndexError("a requested frame was not found")


def _read_sequential(
    path: Path, index: PacketIndex, choose: Chooser, callback: FrameCallback[Any] | None
) -> Reading[Any]:
    """Decode every frame, count those that decode, and keep the requested ones.

    With a trusted index a frame that does not decode keeps its number and the count ends at the last frame that
    does; without one, frames are numbered in the order of decoding. Frames that show damage are errors.
    """
    # Most clips that are read here are whole: keep what is requested then, and decode again only if they are not.
    guess = requested_frames(choose, len(index.pts), path) if len(index.pts) else []
    numbering = {int(pts): i for i, pts in enumerate(index.pts)} if index.trusted else None
    keys = index.keys.tolist()
    done = _decode_all(path, numbering, keys, guess, callback)
    if numbering is not None and not (_increasing(done.times) and all(pts in numbering for pts in done.times)):
        numbering = None
        done = _decode_all(path, None, keys, guess, callback)
    count = len(done.times) if numbering is None else 1 + max(numbering[pts] for pts in done.times if pts is not None)
    numbers = requested_frames(choose, count, path)
    if set(numbers) - set(guess):
        done = _decode_all(path, numbering, keys, numbers, callback)
    collected = done.collected
    why = done.failures[0] if done.failures else "its packet gave no frame"
    errors = {
        i: f"frame {i} is damaged: {done.damaged[i]}" if i in done.damaged else f"frame {i} does not decode: {why}"
        for i in numbers
        if i not in collected.times
    }
    if collected.size is None:
        collected.size = _size(path)
    return collected.reading(numbers, count, done.stream.fps, "sequential", errors, done.stream)


def _decode_all(
    path: Path,
    numbering: dict[int, int] | None,
    keys: list[int],
    numbers: Iterable[int],
    callback: FrameCallback[Any] | None,
) -> _Pass:
    """Decode the whole clip and collect the frames with the given numbers.

    Args:
        path: the clip.
        numbering: presentation time -> frame number; ``None`` numbers frames in the order of decoding.
        keys: presentation times of the keyframes.
        numbers: the frames to collect.
        callback: called with these frames instead of keeping them.

    Raises:
        DataError: no frame decodes.
    """
    requested = set(numbers)
    times: list[int | None] = []
    collected = FrameCollector(callback)
    record = DamageRecord(keys)
    failures = _Failures(record)
    with open_clip(path) as clip:
        stream = clip.facts()
        for frame in _all_frames(clip, failures):
            number = len(times) if numbering is None else numbering.get(frame.pts, -1)
            times.append(frame.pts)
            record.shown(_described(frame))
            if number in requested:
                try:
                    upright = clip.frame(number, frame)
                except (av.FFmpegError, ValueError) as error:
                    failures.add(error)
                else:
                    collected.add(upright)
    if not times:
        why = f": {failures.texts[0]}" if failures.texts else ""
        raise DataError(f"no frame of {path} decodes{why}", "the file is damaged: copy or download it again")
    collected.flush()
    numbered = numbering or {}
    damaged = {numbered.get(times[n] or 0, n): why for n, why in record.damaged().items()}
    collected.discard(damaged)
    if not _increasing(times):  # then they are not presentation times
        collected.clear_times()
    return _Pass(times, collected, damaged, failures.texts, stream)


def _described(frame: Any) -> DecodedFrame:
    return DecodedFrame(frame.pts, bool(frame.key_frame), bool(frame.is_corrupt))


def _increasing(times: list[int | None]) -> bool:
    """Whether all frames have times, each later than the one before."""
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(before < after for before, after in pairwise(known))


def _all_frames(clip: Clip, failures: _Failures) -> Iterator[Any]:
    """Yield all frames in presentation order; a packet that does not decode is added to ``failures`` and skipped."""
    packets = packets_of(clip.container, clip.stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError, ValueError) as error:
            failures.add(error)
            # Frames that the decoder still buffers would be lost with the end of the packets.
            yield from _flush(clip, failures)
            return
        failures.sent(packet.pts)
        try:
            decoded = _decode(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            failures.lost(error)
            continue
        yield from decoded


def _flush(clip: Clip, failures: _Failures) -> list[Any]:
    try:
        return list(clip.codec.decode(None))
    except (av.FFmpegError, OSError, ValueError) as error:
        failures.add(error)
        return []


def _decode(packet: Any) -> list[Any]:
    beat()
    try:
        return list(packet.decode())
    except av.EOFError:  # the decoder was flushed already
        return []


def _size(path: Path) -> tuple[int, int]:
    """Return height and width of the first frame that decodes."""
    with open_clip(path) as clip:
        for frame in _all_frames(clip, _Failures(DamageRecord())):
            height, width = clip.frame(0, frame).image.shape[:2]
            return height, width
    raise DataError(f"no frame of {path} decodes", "the file is damaged: copy or download it again")
