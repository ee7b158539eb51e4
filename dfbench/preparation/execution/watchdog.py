"""End a worker process that reads a clip and makes no progress, for example because it hangs or was stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfbench.preparation.execution.shard_progress import current_clip
from dfbench.preparation.execution.subprocess_worker import WorkerProcess

LONGEST_INTERVAL = 1.0


class Watchdog:
    """Watches one call of a worker.

    Attributes:
        expired: the clip whose time was over; None if the worker was not ended.
    """

    def __init__(self) -> None:
        self.expired: str | None = None


@contextmanager
def watching(process: WorkerProcess, journal: Path, limit: float) -> Iterator[Watchdog]:
    """Kill the process if its journal does not grow for ``limit`` seconds while it reads a clip.

    Args:
        process: the worker.
        journal: the file that it appends to.
        limit: seconds.
    """
    stop = threading.Event()
    dog = Watchdog()

    def watch() -> None:
        size, since = -1, time.monotonic()
        while not stop.wait(min(LONGEST_INTERVAL, limit / 4)):
            now = _size(journal)
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since >= limit:
                clip = current_clip(journal)
                if clip is not None:
                    dog.expired = clip
                    process.kill()
                    return
                since = time.monotonic()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield dog
    finally:
        stop.set()
        thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
