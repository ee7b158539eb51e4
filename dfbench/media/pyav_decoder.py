"""Exact frames of a clip with PyAV: by packet index and seeks where that is safe, else by decoding everything.

The fast way rests on three facts. The packets of a clip list its frames without decoding any; a decoder started
at a keyframe needs nothing before it; and a frame that no other frame refers to (most B-frames of x264) can be
skipped unless it is wanted. Frames are picked by presentation time, so a seek that lands elsewhere can not give a
wrong frame: it gives none, and then everything is decoded.
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
from dfbench.media.keeper import Frame, Keeper, Look
from dfbench.media.reader import Chooser, Reading, wanted


class _Unsafe(Exception):  # noqa: N818 - an outcome, not a fault
    """The fast way can not vouch for its frames here."""


@dataclass(frozen=True)
class _Pass:
    """One decoding of a whole clip: presentation time of every frame in order, and the kept ones by number."""

    times: list[int | None]
    kept: Keeper
    errors: list[str]
    fps: float | None


def read_clip(path: Path, choose: Chooser, look: Look | None = None) -> Reading:
    """Decode the wanted frames of a clip; see :func:`dfbench.media.reader.read`."""
    index = index_packets(path)
    if index.packets == 0:
        raise DataError(f"{path} holds no video packet", "the file is cut off: copy or download it again")
    if index.trusted and index.whole:
        numbers = wanted(choose, len(index.pts), path)
        try:
            return _read_indexed(path, index, numbers, look)
        except _Unsafe:
            pass
    return _read_sequential(path, index, choose, look)


def _read_indexed(path: Path, index: PacketIndex, numbers: list[int], look: Look | None) -> Reading:
    """Seek from group to group and decode only what the wanted frames need.

    Raises:
        _Unsafe: a frame is damaged or does not come, or a seek did not land on its keyframe.
    """
    keeper = Keeper(look if numbers else None)
    with open_clip(path) as clip:
        # Frame 0 stands in where nothing is wanted: a clip of which nothing decodes must not pass for readable.
        for frame in _indexed_frames(clip, index, numbers or [0]):
            keeper.add(frame)
        fps = _fps(clip)
    keeper.finish()
    assert keeper.size is not None
    height, width = keeper.size
    frames, seen = keeper.of(numbers)
    return Reading(len(index.pts), width, height, fps, frames, {}, "index", seen)


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
    """Split wanted frames into runs decoded in one go: (keyframe to seek to, ``None`` to read on; frame numbers)."""
    # The keyframe at or before each frame. Leading B-frames of an open group are shown before their keyframe and
    # so belong, rightly, to the group before, which they refer to.
    starts = np.searchsorted(index.keys, index.pts[numbers], "right") - 1
    current = 0
    for group in np.unique(starts):
        members = [number for number, start in zip(numbers, starts, strict=True) if start == group]
        yield (int(index.keys[group]) if group > current else None), members
        current = int(group)


def _decode_group(clip: Clip, by_time: dict[int, int], key: int | None) -> Iterator[tuple[int, Any]]:
    """Decode from the current position until every time in ``by_time`` has come; yields (pts, frame)."""
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
                # Concealment may lean on frames that were skipped.
                raise _Unsafe("a frame is damaged")
            # Decoders give frames in the order they are shown: times that disagree are not to be relied on.
            if frame.pts is None or (last is not None and frame.pts <= last):
                raise _Unsafe("times do not follow the order of frames")
            last = frame.pts
            if frame.pts in missing:
                missing.discard(frame.pts)
                yield frame.pts, frame
        if not missing:
            return
    raise _Unsafe("a wanted frame did not come")


def _read_sequential(path: Path, index: PacketIndex, choose: Chooser, look: Look | None) -> Reading:
    """Decode every frame; count those that come, and keep the wanted ones.

    With a trusted index a frame that does not decode keeps its number and the count ends at the last frame that
    does; without one, frames are numbered as they come.
    """
    # Most clips that end here are whole: keep what would be wanted then, and decode again only if they are not.
    guess = wanted(choose, len(index.pts), path) if len(index.pts) else []
    numbering = {int(pts): i for i, pts in enumerate(index.pts)} if index.trusted else None
    done = _decode_all(path, numbering, guess, look)
    if numbering is not None and not (_increasing(done.times) and all(pts in numbering for pts in done.times)):
        numbering = None
        done = _decode_all(path, None, guess, look)
    count = len(done.times) if numbering is None else 1 + max(numbering[pts] for pts in done.times if pts is not None)
    numbers = wanted(choose, count, path)
    if set(numbers) - set(guess):
        done = _decode_all(path, numbering, numbers, look)
    frames, seen = done.kept.of(numbers)
    why = done.errors[0] if done.errors else "nothing came out of its packet"
    errors = {i: f"frame {i} does not decode: {why}" for i in numbers if i not in frames and i not in seen}
    height, width = done.kept.size or _size(path)
    return Reading(count, width, height, done.fps, frames, errors, "sequential", seen)


def _decode_all(path: Path, numbering: dict[int, int] | None, numbers: Iterable[int], look: Look | None) -> _Pass:
    """Decode the whole clip and keep the frames with the given numbers.

    Args:
        path: the clip.
        numbering: presentation time -> frame number; ``None`` numbers frames as they come.
        numbers: the frames to keep.
        look: what to do with them.

    Raises:
        DataError: no frame decodes.
    """
    keep = set(numbers)
    times: list[int | None] = []
    kept = Keeper(look)
    errors: list[str] = []
    with open_clip(path) as clip:
        for frame in _all_frames(clip, errors):
            number = len(times) if numbering is None else numbering.get(frame.pts, -1)
            times.append(frame.pts)
            if number in keep:
                try:
                    picture = _frame(number, frame)
                except (av.FFmpegError, ValueError) as error:
                    errors.append(reason(error))
                else:
                    kept.add(picture)
        fps = _fps(clip)
    if not times:
        why = f": {errors[0]}" if errors else ""
        raise DataError(f"no frame of {path} decodes{why}", "the file is damaged: copy or download it again")
    kept.finish()
    if not _increasing(times):  # not times of presentation, then
        kept.forget_times()
    return _Pass(times, kept, errors, fps)


def _increasing(times: list[int | None]) -> bool:
    """Whether all times are there, each later than the one before."""
    known = [time for time in times if time is not None]
    return len(known) == len(times) and all(before < after for before, after in pairwise(known))


def _all_frames(clip: Clip, errors: list[str]) -> Iterator[Any]:
    """All frames in order of presentation; a packet that does not decode is noted and passed over."""
    packets = clip.container.demux(clip.stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError, ValueError) as error:
            errors.append(reason(error))
            # What the decoder still holds back would be lost with the end of the packets.
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
    """Convert to upright RGB; FFmpeg's default conversion, as OpenCV and decord do it."""
    image = frame.to_ndarray(format="rgb24")
    turns = round((frame.rotation or 0) / 90) % 4
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(image, turns) if turns else image)
    return Frame(number, None if frame.time is None else float(frame.time), upright)


def _fps(clip: Clip) -> float | None:
    rate = clip.stream.average_rate
    return float(rate) if rate else None


def _size(path: Path) -> tuple[int, int]:
    """Height and width of the first frame that decodes."""
    with open_clip(path) as clip:
        for frame in _all_frames(clip, []):
            height, width = _frame(0, frame).image.shape[:2]
            return height, width
    raise DataError(f"no frame of {path} decodes", "the file is damaged: copy or download it again")
