"""Iterate over all frames of a clip, for code that draws on them or encodes them again."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

from dfbench.media.frames import Frame
from dfbench.media.reader import read

_BATCHES_AHEAD = 1
"""Batches of frames that are decoded ahead of the consumer."""


class _Abandoned(Exception):  # noqa: N818 - an outcome, not a fault
    """Raised in the decoding thread if the consumer stopped early."""


def stream_frames(path: Path, decoder: str = "pyav") -> Iterator[Frame]:
    """Yield every frame that decodes, in rising order, with few frames in memory at a time.

    :func:`dfbench.media.reader.read` runs in a thread of its own, in one pass over the clip, and waits for the
    consumer.

    Args:
        path: a clip or an image.
        decoder: name of the video decoder.

    Raises:
        DataError: see :func:`dfbench.media.reader.read`.
    """
    batches: queue.Queue[Sequence[Frame] | None] = queue.Queue(_BATCHES_AHEAD)
    abandoned = threading.Event()

    def put(batch: Sequence[Frame] | None) -> None:
        while not abandoned.is_set():
            try:
                return batches.put(batch, timeout=0.1)
            except queue.Full:
                continue
        raise _Abandoned

    def put_frames(frames: Sequence[Frame]) -> Sequence[None]:
        put(tuple(frames))
        return [None] * len(frames)

    def decode() -> None:
        try:
            read(path, range, decoder, put_frames)
        finally:
            put(None)

    last = -1
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(copy_context().run, decode)
        try:
            while (batch := batches.get()) is not None:
                for frame in batch:
                    if frame.index > last:  # a clip that has to be read by another method starts again
                        last = frame.index
                        yield frame
        finally:
            abandoned.set()
        decoding.result()
