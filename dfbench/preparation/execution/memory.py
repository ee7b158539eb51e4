"""Give freed memory back to the system between clips."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache


def give_back() -> None:
    """Return what is free in the heap of the C library, where that is glibc; elsewhere nothing.

    Frames come and go, crops stay until their shard is written. Among frames of some megabytes they cut the heap to
    pieces that no other frame fits in, and it grows with every clip. To return every frame at once instead (a fixed
    ``M_MMAP_THRESHOLD``) costs a seventh of the time in page faults; this, once a clip, costs next to nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return None
    return trim
