"""Limits of what is decoded, which are the same on every machine, and what is the machine's fault.

Pixels and bytes are limited here. Time is limited by whoever watches a worker: decoders call :func:`beat` for every
packet and frame, so that it is known whether reading a file makes progress.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from dfbench.errors import DataError

MOST_PIXELS = 64_000_000
"""Largest width x height of a frame or image. It is checked before anything is decoded."""

BATCH_BYTES = 256 * 2**20
"""Bytes of frames that are passed to a callback at once, at most: nine frames of 4096x2304 pixels are less."""

LARGEST_IMAGE_FILE = 2**30
"""Bytes of an image file, which is read whole."""

_OUT_OF_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "cannot allocate memory",
    "failed to allocate",
    "failed to launch worker thread",
    "insufficient memory",
    "out of memory",
    "cuda failure",
)
"""How libraries describe a lack of memory, or a failure of the GPU, in exceptions of their own classes."""


def check_pixels(width: int, height: int) -> None:
    """Raise unless a frame of this size may be decoded.

    Raises:
        DataError: it has more than :data:`MOST_PIXELS` pixels.
    """
    if width * height > MOST_PIXELS:
        raise DataError(
            f"it has {width}x{height} pixels, more than the limit of {MOST_PIXELS / 1e6:g} million",
            "reduce its size first",
        )


def is_machine_fault(error: BaseException | None) -> bool:
    """Whether an exception, or one that it was raised from, says that memory ran out.

    Such an exception tells something about the machine and nothing about the file that was being read.

    >>> is_machine_fault(MemoryError()), is_machine_fault(ValueError("not a clip"))
    (True, False)
    """
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        # Not the text of other errors: it can hold the name of a file.
        if isinstance(error, RuntimeError) or type(error).__module__.startswith(("cv2", "onnx", "pyarrow")):
            text = str(error).lower()
            if any(words in text for words in _OUT_OF_MEMORY):
                return True
        error = error.__cause__ or error.__context__
    return False


def memory_is_left(size: int = 2**30) -> bool:
    """Whether this process can reserve memory, by default far more than opening a file needs.

    Args:
        size: bytes.
    """
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True


def _ignore() -> None:
    pass


def lacks_memory(error: BaseException) -> bool:
    """Whether a lack of memory that FFmpeg reports is the machine's.

    FFmpeg reports the same where a damaged file claims an absurd size.
    """
    return is_machine_fault(error) and not memory_is_left()


# One per thread: engines may run several shards in the threads of one process.
_listener: ContextVar[Callable[[], None]] = ContextVar("listener", default=_ignore)


def beat() -> None:
    """Report progress: a packet or a frame was read."""
    _listener.get()()


@contextmanager
def listening(listener: Callable[[], None]) -> Iterator[None]:
    """Call a function at every beat of this thread inside the block; it must be quick."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
