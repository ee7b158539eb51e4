"""Tell whoever watches this process that reading a file makes progress.

Decoders call :func:`beat` for every packet and frame. Nothing listens unless a worker does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _ignore() -> None:
    pass


_listener: Callable[[], None] = _ignore


def beat() -> None:
    """Report progress: a packet or a frame was read."""
    _listener()


@contextmanager
def listening(listener: Callable[[], None]) -> Iterator[None]:
    """Call a function at every beat inside the block; it must be quick."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
