"""All frames of a clip one after the other, for whoever draws on them or encodes them anew."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dfbench.media.keeper import Frame
from dfbench.media.reader import read

_WAITING = 2
"""Lots of frames that are decoded ahead of the reader."""


class _Left(Exception):  # noqa: N818 - an outcome, not a fault
    """Nobody wants the rest of the frames."""


def stream_frames(path: Path, decoder: str = "pyav") -> Iterator[Frame]:
    """Every frame that decodes, in rising order; few of them are in memory, however long the clip.

    :func:`dfbench.media.reader.read` hands frames out as it comes to them. Here it does so in a thread of its own, in
    one pass over the clip, and those who take the frames set the pace.

    Args:
        path: a clip or a picture.
        decoder: name of the video reader.

    Raises:
        DataError: see :func:`dfbench.media.reader.read`.
    """
    lots: queue.Queue[Sequence[Frame] | None] = queue.Queue(_WAITING)
    left = threading.Event()

    def hand_out(lot: Sequence[Frame] | None) -> None:
        while not left.is_set():
            try:
                return lots.put(lot, timeout=0.1)
            except queue.Full:
                continue
        raise _Left

    def look(frames: Sequence[Frame]) -> Sequence[None]:
        hand_out(tuple(frames))
        return [None] * len(frames)

    def decode() -> None:
        try:
            read(path, range, decoder, look)
        finally:
            hand_out(None)

    last = -1
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(decode)
        try:
            while (lot := lots.get()) is not None:
                for frame in lot:
                    if frame.index > last:  # a clip that needs another way of reading begins anew
                        last = frame.index
                        yield frame
        finally:
            left.set()
        decoding.result()
