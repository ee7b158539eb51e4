"""Frames of a clip with decord, the second reader (``--decoder decord``). Needs the extra ``decord``.

decord is here for those who want the frames that others prepared with it, and for cross-checks. It is no longer
maintained: it miscounts clips cut with an edit list, gives other frames than asked for in MPEG program streams and in
open groups of pictures, knows no AV1, and keeps on decoding in the background while a reader lives. So it is let near
clips alone whose packets tell the frame numbers, its count is checked against them, it jumps only between
closed groups, and the reader is let go at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, SetupError
from dfbench.media.container import index_packets
from dfbench.media.keeper import AT_ONCE, Frame, Keeper, Look
from dfbench.media.reader import Chooser, Reading, wanted

_PYAV = "read it with --decoder pyav"


def read_clip(path: Path, choose: Chooser, look: Look | None = None) -> Reading:
    """Decode the wanted frames of a clip; see :func:`dfbench.media.reader.read`.

    Raises:
        DataError: it is no clip, decord can not open it, miscounts its frames, or a frame does not decode.
        SetupError: decord is not installed.
    """
    decord = load_decord()
    index = index_packets(path)
    if not (index.trusted and index.whole):
        raise DataError(f"decord can not be relied on for {path}: its packets do not tell the frame numbers", _PYAV)
    reader = _open(decord, path)
    try:
        count = len(reader)
        # More frames than there are would let get_batch wait for ever; another number means other frames (edit lists).
        if count != len(index.pts):
            raise DataError(f"decord counts {count} frames in {path}, its packets say {len(index.pts)}", _PYAV)
        numbers = wanted(choose, count, path)
        # Frame 0 stands in where nothing is wanted, for the size.
        targets = numbers or [0]
        keeper = Keeper(look if numbers else None)
        for frame in _frames(reader, targets, index.closed, path):
            keeper.add(frame)
        keeper.finish()
        fps = float(reader.get_avg_fps())
    finally:
        del reader
    assert keeper.size is not None
    height, width = keeper.size
    frames, seen = keeper.of(numbers)
    return Reading(count, width, height, fps or None, frames, {}, "sequential", seen)


def _frames(reader: Any, numbers: list[int], closed: bool, path: Path) -> Iterator[Frame]:
    try:
        times = reader.get_frame_timestamp(numbers)
        images = _by_jumps(reader, numbers) if closed else _one_by_one(reader, numbers)
        for number, time, image in zip(numbers, times, images, strict=True):
            yield Frame(number, float(time[0]), np.ascontiguousarray(image))
    except (RuntimeError, IndexError, ValueError) as error:  # DECORDError is a RuntimeError
        raise DataError(f"decord can not read {path}: {_first_line(error)}", _PYAV) from error


def _by_jumps(reader: Any, numbers: list[int]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield from reader.get_batch(numbers[start : start + AT_ONCE]).asnumpy()


def _one_by_one(reader: Any, numbers: list[int]) -> Iterator[NDArray[np.uint8]]:
    """The wanted frames by reading all from the start: in open groups decord's jumps end at another frame."""
    for number in range(numbers[-1] + 1):
        frame = reader.next()  # its StopIteration becomes a RuntimeError here
        if number in numbers:
            yield frame.asnumpy()


def load_decord() -> Any:
    """The package decord, silenced: it reports every failure on standard error as well.

    Raises:
        SetupError: it is not installed, or its library does not load.
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
        # An absolute path can not be mistaken for a protocol; what it holds was opened as a clip before.
        return decord.VideoReader(os.path.abspath(path), ctx=decord.cpu(0), num_threads=1)
    except RuntimeError as error:
        raise DataError(f"decord can not open {path}: {_first_line(error)}", _PYAV) from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
