"""Decode exact frames of a clip with PyAV: by packet index and seeks if that is safe, else by decoding everything.

The fast path rests on three facts. The packets of a clip list its frames without decoding any; a decoder started
at a keyframe needs nothing before it; and a frame that no other frame refers to (most B-frames of x264) can be
skipped unless it is requested. Frames are selected by presentation time, so a seek that lands elsewhere cannot return
a wrong frame: it returns none, and then everything is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media.container import Clip, PacketIndex, index_packets, open_clip, reason
from dfbench.media.frames import Chooser, Frame, FrameCallback, FrameCollector, Reading, requested_frames


class _Unsafe(Exception):  # noqa: N818 - an outcome, not a fault
    """Raised when the fast path cannot guarantee its frames."""


@dataclass(frozen=True)
class _Pass:
    """One decoding of a whole clip: presentation time of every frame in order, and the requested frames."""

    times: list[int | None]
    collected: FrameCollector
    errors: list[str]
    fps: float | None


def read_clip(path: Path, choose: Chooser, callback: FrameCallback[Any] | None = None) -> Reading[Any]:
    """Decode the requested frames of a clip; see :func:`dfbench.media.reader.read`."""
    index = index_packets(path)
    if index.packets == 0:
        raise DataError(f"{path} holds no video packet", "the file is truncated: copy or download it again")
    if index.trusted and index.whole:
        numbers = requested_frames(choose, len(index.pts), path)
        try:
            return _read_indexed(path, index, numbers, callback)
        except _Unsafe:
            pass
    return _read_sequential(path, index, choose, callback)


def _read_indexed(
    path: Path, index: PacketIndex, numbers: list[int], callback: FrameCallback[Any] | None
) -> Reading[Any]:
    """Seek from group to group and decode only what the requested frames need.

    Raises:
        _Unsafe: a frame is damaged or missing, or a seek did not land on its keyframe.
    """
    collected = FrameCollector(callback if numbers else None)
    with open_clip(path) as clip:
        # If nothing is requested, frame 0 is decoded: a clip of which nothing decodes must not count as readable.
        for frame in _indexed_frames(clip, index, numbers or [0]):
            collected.add(frame)
        fps = _fps(clip)
    collected.flush()
    return collected.reading(numbers, len(index.pts), fps, "index")


def _indexed_frames(clip: Clip, index: PacketIndex, numbers: list[int]) -> Iterator[Frame]:
    try:
        for key, group in _groups(index, numbers):
            if key is not None:
                clip.container.seek(key, stream=clip.stream, backward=True)
                clip.codec.flush_buffers()
            by_time = {int(index.pts[i]): i for i in group}
            for pts, decoded in _decode_group(clip, by_time, key):
                yield _frame(by_time[pts], decoded)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _Unsafe(reason(error)) from error


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
    for packet in clip.container.demux(clip.stream):
        if first and key is not None and not (packet.is_keyframe and packet.pts is not None and packet.pts <= key):
            raise _Unsafe("the seek did not land on a keyframe")
        first = False
        needed = packet.pts is None or packet.pts in missing or packet.is_keyframe
        clip.codec.skip_frame = "DEFAULT" if needed else "NONREF"
        for frame in _decode(packet):
            if frame.is_corrupt:
                # Concealment may depend on frames that were skipped.
                raise _Unsafe("a frame is damaged")
            # Decoders return frames in the order they are shown: times that disagree are not reliable.
            if frame.pts is None or (last is not None and frame.pts <= last):
                raise _Unsafe("times do not follow the order of frames")
            last = frame.pts
            if frame.pts in missing:
                missing.discard(frame.pts)
                yield frame.pts, frame
        if not missing:
            return
    raise _Unsafe("a requested frame was not found")


def _read_sequential(
    path: Path, index: PacketIndex, choose: Chooser, callback: FrameCallback[Any] | None
) -> Reading[Any]:
    """Decode every frame, count those that decode, and keep the requested ones.

    With a trusted index a frame that does not decode keeps its number and the count ends at the last frame that
    does; without one, frames are numbered in the order of decoding.
    """
    # Most clips that are read here are whole: keep what is requested then, and decode again only if they are not.
    guess = requested_frames(choose, len(index.pts), path) if len(index.pts) else []
    numbering = {int(pts): i for i, pts in enumerate(index.pts)} if index.trusted else None
    done = _decode_all(path, numbering, guess, callback)
    if numbering is not None and not (_increasing(done.times) and all(pts in numbering for pts in done.times)):
        numbering = None
        done = _decode_all(path, None, guess, callback)
    count = len(done.times) if numbering is None else 1 + max(numbering[pts] for pts in done.times if pts is not None)
    numbers = requested_frames(choose, count, path)
    if set(numbers) - set(guess):
        done = _decode_all(path, numbering, numbers, callback)
    collected = done.collected
    why = done.errors[0] if done.errors else "its packet gave no frame"
    errors = {i: f"frame {i} does not decode: {why}" for i in numbers if i not in collected.times}
    if collected.size is None:
        collected.size = _size(path)
    return collected.reading(numbers, count, done.fps, "sequential", errors)


def _decode_all(
    path: Path, numbering: dict[int, int] | None, numbers: Iterable[int], callback: FrameCallback[Any] | None
) -> _Pass:
    """Decode the whole clip and collect the frames with the given numbers.

    Args:
        path: the clip.
        numbering: presentation time -> frame number; ``None`` numbers frames in the order of decoding.
        numbers: the frames to collect.
        callback: called with these frames instead of keeping them.

    Raises:
        DataError: no frame decodes.
    """
    requested = set(numbers)
    times: list[int | None] = []
    collected = FrameCollector(callback)
    errors: list[str] = []
    with open_clip(path) as clip:
        for frame in _all_frames(clip, errors):
            number = len(times) if numbering is None else numbering.get(frame.pts, -1)
            times.append(frame.pts)
            if number in requested:
                try:
                    upright = _frame(number, frame)
                except (av.FFmpegError, ValueError) as error:
                    errors.append(reason(error))
                else:
                    collected.add(upright)
        fps = _fps(clip)
    if not times:
        why = f": {errors[0]}" if errors else ""
        raise DataError(f"no frame of {path} decodes{why}", "the file is damaged: copy or download it again")
    collected.flush()
    if not _increasing(times):  # then they are not presentation times
        collected.clear_times()
    return _Pass(times, collected, errors, fps)


def _increasing(times: list[int | None]) -> bool:
    """Whether all frames have times, each later than the one before."""
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(before < after for before, after in pairwise(known))


def _all_frames(clip: Clip, errors: list[str]) -> Iterator[Any]:
    """Yield all frames in presentation order; a packet that does not decode is added to ``errors`` and skipped."""
    packets = clip.container.demux(clip.stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError, ValueError) as error:
            errors.append(reason(error))
            # Frames that the decoder still buffers would be lost with the end of the packets.
            yield from _flush(clip, errors)
            return
        try:
            decoded = _decode(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            errors.append(reason(error))
            continue
        yield from decoded


def _flush(clip: Clip, errors: list[str]) -> list[Any]:
    try:
        return list(clip.codec.decode(None))
    except (av.FFmpegError, OSError, ValueError) as error:
        errors.append(reason(error))
        return []


def _decode(packet: Any) -> list[Any]:
    try:
        return list(packet.decode())
    except av.EOFError:  # the decoder was flushed already
        return []


def _frame(number: int, frame: Any) -> Frame:
    """Convert to upright RGB by FFmpeg's default conversion, as OpenCV and decord do."""
    image = frame.to_ndarray(format="rgb24")
    turns = round((frame.rotation or 0) / 90) % 4
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(image, turns) if turns else image)
    return Frame(number, None if frame.time is None else float(frame.time), upright)


def _fps(clip: Clip) -> float | None:
    rate = clip.stream.average_rate
    return float(rate) if rate else None


def _size(path: Path) -> tuple[int, int]:
    """Return height and width of the first frame that decodes."""
    with open_clip(path) as clip:
        for frame in _all_frames(clip, []):
            height, width = _frame(0, frame).image.shape[:2]
            return height, width
    raise DataError(f"no frame of {path} decodes", "the file is damaged: copy or download it again")
