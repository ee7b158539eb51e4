"""Decode frames by the index that an mp4 file holds itself, so that the file is read once.

The index lists every packet in the order of decoding: where it lies, its size, whether it is a keyframe. It does not
say when a packet is shown. But a closed group, from one keyframe up to the next, is shown as a whole before the group
after it, so the numbers of its frames are known from the index, and their order from its packets, which have to be
read for decoding anyway. Whatever contradicts this while the packets are read ends the method; the clip is then read by
:mod:`dfbench.media.pyav_decoder`'s scan of all packets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from dfbench.media.container import Clip, gives_one_frame_per_packet, packets_of, reason
from dfbench.media.frames import Frame
from dfbench.media.limits import beat, lacks_memory

GROUP_BYTES = 64 * 2**20
"""Bytes of one group of packets, which are held at once, at most."""


class UnsafeIndexError(Exception):
    """Raised when a method that decodes a part of a clip cannot guarantee its frames."""


@dataclass(frozen=True, eq=False)
class ContainerIndex:
    """The packets of a clip according to its container, in the order of decoding.

    Attributes:
        times: decoding times in time base units (int64), rising.
        places: positions of the packets in the file, in bytes (int64).
        starts: numbers of the keyframes (int64), then the number of packets: group ``g`` has the packets and frames
            ``starts[g]`` to ``starts[g + 1]``, exclusive.
    """

    times: NDArray[np.int64]
    places: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)


def container_index(clip: Clip, path: Path) -> ContainerIndex | None:
    """Return a clip's own index; None unless it can be relied on.

    It has to be that of an mp4 or QuickTime file which lists as many packets as the header announces, begins with a
    keyframe, drops nothing by an edit list, and lies within the file as a whole; and every packet of the codec has to
    be one shown frame.

    Args:
        clip: the clip, of which no packet was read yet.
        path: its file.
    """
    if clip.container.format.name.split(",")[0] != "mov" or not gives_one_frame_per_packet(clip):
        return None
    entries = list(clip.stream.index_entries)
    if not entries or len(entries) != clip.stream.frames or any(entry.is_discard for entry in entries):
        return None
    times = np.array([entry.timestamp for entry in entries], np.int64)
    places = np.array([entry.pos for entry in entries], np.int64)
    sizes = np.array([entry.size for entry in entries], np.int64)
    keys = np.flatnonzero([entry.is_keyframe for entry in entries])
    inside = (sizes > 0) & (places >= 0) & (places + sizes <= os.stat(path).st_size)
    if not inside.all() or len(keys) == 0 or keys[0] != 0 or (np.diff(times) <= 0).any():
        return None
    if np.add.reduceat(sizes, keys).max() > GROUP_BYTES:
        return None
    return ContainerIndex(times, places, np.append(keys, len(entries)))


def indexed_frames(clip: Clip, index: ContainerIndex, numbers: Sequence[int]) -> Iterator[Frame]:
    """Decode frames of a clip by its container's index.

    Args:
        clip: the clip, of which no packet was read yet.
        index: its index.
        numbers: the requested frames, rising, at least one.

    Raises:
        UnsafeIndexError: the packets contradict the index, or a frame is damaged or missing.
        MemoryError: memory ran out.
    """
    try:
        yield from _Decoding(clip, index).frames(numbers)
    except (av.FFmpegError, OSError, ValueError) as error:
        if lacks_memory(error):
            raise MemoryError(reason(error)) from error
        raise UnsafeIndexError(reason(error)) from error


class _Decoding:
    """One pass over the groups of a clip that hold requested frames."""

    def __init__(self, clip: Clip, index: ContainerIndex) -> None:
        self._clip = clip
        self._index = index
        self._packets = packets_of(clip.container, clip.stream)
        self._ahead: Any = None  # the packet after the last group
        self._missing: dict[int, int] = {}  # presentation time -> number of the requested frames not decoded yet
        self._last: int | None = None

    def frames(self, numbers: Sequence[int]) -> Iterator[Frame]:
        groups = np.searchsorted(self._index.starts, numbers, "right") - 1
        before = -1
        for group in np.unique(groups).tolist():
            if group > before + 1:
                yield from self._drained()
                self._seek(group)
            start = int(self._index.starts[group])
            wanted = [number - start for number, own in zip(numbers, groups, strict=True) if own == group]
            yield from self._group(group, start, wanted)
            before = group
        yield from self._drained()

    def _seek(self, group: int) -> None:
        """Continue at a group; the decoder forgets what it holds."""
        # FFmpeg goes to the last keyframe that is decoded and shown by this time. Where frames are reordered, a
        # keyframe is shown after it is decoded, but mostly before the last frame of its group is decoded.
        last = int(self._index.times[self._index.starts[group + 1] - 1])
        self._clip.container.seek(last, stream=self._clip.stream, backward=True)
        self._clip.codec.flush_buffers()
        self._packets = packets_of(self._clip.container, self._clip.stream)
        self._ahead = None

    def _group(self, group: int, start: int, wanted: Sequence[int]) -> Iterator[Frame]:
        """Decode the requested frames of one group, by their positions in it."""
        packets = self._read(group)
        times = sorted(packet.pts for packet in packets)
        self._missing.update((times[position], start + position) for position in wanted)
        for packet in packets:
            needed = packet.pts in self._missing or packet.is_keyframe
            self._clip.codec.skip_frame = "DEFAULT" if needed else "NONREF"
            yield from self._decoded(packet)
            if not self._missing:
                return

    def _read(self, group: int) -> list[Any]:
        """Read the packets of a group and the one after it, and check that they are what the index says."""
        start, stop = self._index.starts[group : group + 2].tolist()
        packets = [self._next(number) for number in range(start, stop)]
        self._ahead = self._next(stop) if stop < len(self._index) else None
        times = [packet.pts for packet in packets]
        after = [] if self._ahead is None else [self._ahead.pts]
        # A group is closed if its keyframe is shown first, and all of it before the next keyframe.
        if times[0] != min(times) or len(set(times)) < len(times) or any(max(times) >= time for time in after):
            raise UnsafeIndexError("the groups of frames are not closed")
        return packets

    def _next(self, number: int) -> Any:
        packet, self._ahead = self._ahead or next(self._packets, None), None
        beat()
        if (
            packet is None
            or packet.pts is None
            or packet.is_corrupt
            or packet.is_discard
            or packet.pos != self._index.places[number]
            or packet.is_keyframe != (number in self._index.starts)
        ):
            raise UnsafeIndexError("a packet is not the one that the index lists")
        return packet

    def _drained(self) -> Iterator[Frame]:
        """Decode what the decoder still holds; nothing may be missing then."""
        if self._missing:
            self._clip.codec.skip_frame = "DEFAULT"
            yield from self._decoded(None)
        if self._missing:
            raise UnsafeIndexError("a requested frame was not found")

    def _decoded(self, packet: Any) -> Iterator[Frame]:
        beat()
        for frame in self._clip.codec.decode(packet):
            if frame.is_corrupt:
                # Whether other frames refer to it is known only if all are decoded.
                raise UnsafeIndexError("a frame is damaged")
            # Decoders return frames in the order they are shown: times that disagree are not reliable.
            if frame.pts is None or (self._last is not None and frame.pts <= self._last):
                raise UnsafeIndexError("times do not follow the order of frames")
            self._last = frame.pts
            number = self._missing.pop(frame.pts, None)
            if number is not None:
                yield self._clip.frame(number, frame)
