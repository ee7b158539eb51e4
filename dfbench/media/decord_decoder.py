"""Decode frames of a clip with decord, the second decoder (``--decoder decord``). Needs the extra ``decord``.

decord is supported for frames that others prepared with it, and for cross-checks. It is no longer maintained: it
miscounts clips cut with an edit list, returns other frames than requested in MPEG program streams and in open GOPs
(groups of pictures), does not support AV1, and keeps decoding in the background as long as a reader exists. So it is
used only for clips whose packets give the frame numbers, its frame count is checked against them, it seeks only between
closed GOPs, and the reader is deleted at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, SetupError
from dfbench.media.container import index_packets, open_clip, packets_of
from dfbench.media.frames import (
    BATCH_FRAMES,
    Chooser,
    Frame,
    FrameCallback,
    FrameCollector,
    Reading,
    requested_frames,
)
from dfbench.media.orientation import frame_orientation

_PYAV = "use --decoder pyav"


def read_clip(path: Path, choose: Chooser, callback: FrameCallback[Any] | None = None) -> Reading[Any]:
    """Decode the requested frames of a clip; see :func:`dfbench.media.reader.read`.

    Raises:
        DataError: it is not a clip, decord cannot open it or miscounts its frames, or a frame does not decode.
        SetupError: decord is not installed.
    """
    decord = load_decord()
    index = index_packets(path)
    if not (index.trusted and index.whole):
        raise DataError(f"decord is not reliable for {path}: its packets do not give the frame numbers", _PYAV)
    if _is_mirrored(path):
        raise DataError(f"decord turns {path}, whose display matrix mirrors the image", _PYAV)
    reader = _open(decord, path)
    try:
        count = len(reader)
        # If decord counts too many frames, get_batch waits forever; another number means other frames (edit lists).
        if count != len(index.pts):
            raise DataError(f"decord counts {count} frames in {path}, its packets give {len(index.pts)}", _PYAV)
        numbers = requested_frames(choose, count, path)
        # If nothing is requested, frame 0 is decoded for the size.
        targets = numbers or [0]
        collected = FrameCollector(callback if numbers else None)
        for frame in _frames(reader, targets, index.closed, path):
            collected.add(frame)
        collected.flush()
        fps = float(reader.get_avg_fps())
    finally:
        del reader
    return collected.reading(numbers, count, fps or None, "sequential")


def _is_mirrored(path: Path) -> bool:
    """Whether the first frame is shown mirrored: decord knows rotations alone."""
    with open_clip(path) as clip:
        packets = packets_of(clip.container, clip.stream)
        first = next((frame for packet in packets for frame in packet.decode()), None)
        return first is not None and frame_orientation(first).is_mirror


def _frames(reader: Any, numbers: list[int], closed: bool, path: Path) -> Iterator[Frame]:
    try:
        times = reader.get_frame_timestamp(numbers)
        images = _by_seeking(reader, numbers) if closed else _one_by_one(reader, numbers)
        for number, time, image in zip(numbers, times, images, strict=True):
            yield Frame(number, float(time[0]), np.ascontiguousarray(image))
    except (RuntimeError, IndexError, ValueError) as error:  # DECORDError is a RuntimeError
        raise DataError(f"decord cannot read {path}: {_first_line(error)}", _PYAV) from error


def _by_seeking(reader: Any, numbers: list[int]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(numbers), BATCH_FRAMES):
        yield from reader.get_batch(numbers[start : start + BATCH_FRAMES]).asnumpy()


def _one_by_one(reader: Any, numbers: list[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield the requested frames by reading all from the start: in open groups decord seeks to another frame."""
    for number in range(numbers[-1] + 1):
        frame = reader.next()  # its StopIteration becomes a RuntimeError here
        if number in numbers:
            yield frame.asnumpy()


def load_decord() -> Any:
    """Import decord and silence it: it prints every failure on standard error as well.

    Raises:
        SetupError: decord is not installed, or its library does not load.
    """
    try:
        import decord
    except (ImportError, OSError) as error:  # OSError: its library does not load
        raise SetupError(
            f"the decoder decord is not usable: {error}",
            'pip install "deepfake-dfbench[decord]" (Linux and Windows on x86-64), or --decoder pyav',
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _open(decord: Any, path: Path) -> Any:
    try:
        # An absolute path cannot be mistaken for a protocol; the file was opened as a clip before.
        return decord.VideoReader(os.path.abspath(path), ctx=decord.cpu(0), num_threads=1)
    except RuntimeError as error:
        raise DataError(f"decord cannot open {path}: {_first_line(error)}", _PYAV) from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
