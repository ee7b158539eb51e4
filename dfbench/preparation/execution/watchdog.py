"""End the reading of a clip that makes no progress: end its worker process, or interrupt it in this process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dfbench.preparation.execution.shard_progress import current_clip
from dfbench.preparation.execution.subprocess_worker import WorkerProcess
from dfbench.preparation.extraction.scene_reader import TimeLimitError

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


@contextmanager
def interrupting(progress: Callable[[], object], limit: float) -> Iterator[None]:
    """Raise :class:`TimeLimitError` in the block if it reads a clip and makes no progress for ``limit`` seconds.

    It is raised between two steps of Python: a decoder that never returns is not interrupted, other than by
    :func:`watching`. Only in the main thread of a system with interval timers; elsewhere there is no limit.

    Args:
        progress: returns a value that changes with every frame; None between clips.
        limit: seconds.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    last, since = progress(), time.monotonic()
    other, begun, inside = (0.0, 0.0), since, True

    def check(number: int, frame: object) -> None:
        nonlocal last, since
        now = time.monotonic()
        if 0 < other[0] <= now - begun and callable(before):  # of another user of this signal
            before(number, frame)  # type: ignore[arg-type]
        current = progress()
        if current is None or current != last:
            last, since = current, now
        elif now - since >= limit and inside:
            since = now
            raise TimeLimitError

    before = signal.signal(signal.SIGALRM, check)
    interval = min(LONGEST_INTERVAL, limit / 4)
    other = signal.setitimer(signal.ITIMER_REAL, interval, interval)
    try:
        try:
            yield
        finally:
            inside = False  # from here on nothing is interrupted
    finally:
        left = max(other[0] - (time.monotonic() - begun), 0.01) if other[0] else 0.0
        signal.setitimer(signal.ITIMER_REAL, left, other[1])
        signal.signal(signal.SIGALRM, before)


def journal_progress(journal: Path) -> tuple[str, int] | None:
    """Return clip and size of a worker's journal, which grows with every frame; None between clips."""
    clip = current_clip(journal)
    return None if clip is None else (clip, _size(journal))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
