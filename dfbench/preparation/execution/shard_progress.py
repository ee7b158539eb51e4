"""The progress of a run: one file per worker that it appends to and others read, on any engine and after crashes.

Each line is one event: ``S NUMBER`` a shard was begun, ``B ID`` a clip was begun, ``D FACES`` it is finished, ``.`` a
frame was read; ``R`` the worker is given work, written by the process that gives it. Readers keep their position, so
that watching a run costs the same whatever its size.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dfbench.io import TEMPORARY, translate_os_errors
from dfbench.progress import Advance
from dfbench.storage import working_path

PROGRESS = f"{TEMPORARY}progress"
"""Name of the folder that holds the journals of a run's workers."""

SECONDS_BETWEEN_BEATS = 0.25
_TAIL = 65_536  # bytes at the end of a journal that hold its last shard or clip


def progress_folder(slug: str = "") -> str:
    """Return the name of the folder; every array-job part has its own."""
    return f"{PROGRESS}-{slug}" if slug else PROGRESS


def journal_folder(out: Path, name: str) -> Path:
    """Return the folder of the journals of a run.

    Args:
        out: the manifest's folder. Journals are appended to, so those of a URL are on the worker's machine.
        name: from :func:`progress_folder`.
    """
    return working_path(out / name)


class ShardProgress:
    """What the worker of a shard reports.

    Args:
        journal: the worker's file.
        number: number of the shard.
    """

    def __init__(self, journal: Path, number: int) -> None:
        with translate_os_errors(journal):
            journal.parent.mkdir(parents=True, exist_ok=True)
            self._stream = journal.open("ab", buffering=0)
        self._last = 0.0
        self._write(f"\nS {number}")  # a line that was cut off by a crash ends here

    def clip_begun(self, media_id: str) -> None:
        """Report the clip that is read next: if the process crashes, this clip is the cause."""
        self._write(f"B {json.dumps(media_id)}")

    def clip_done(self, faces: int) -> None:
        """Report a finished clip and the number of faces found in it."""
        self._write(f"D {faces}")

    def beat(self) -> None:
        """Report that a frame was read; at most every :data:`SECONDS_BETWEEN_BEATS` this costs a write."""
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_BEATS:
            self._last = now
            self._write(".")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n".encode())


def mark_start(journal: Path) -> None:
    """Record that a worker is given work: what it reported before belongs to an earlier try.

    Raises:
        SetupError: the file cannot be written.
    """
    with translate_os_errors(journal):
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("ab") as stream:
            stream.write(b"\nR\n")


def has_begun(journal: Path, number: int) -> bool:
    """Whether a worker has begun a shard since it was given work."""
    with suppress(OSError):
        return f"S {number}" in journal.read_text("utf-8").rpartition("\nR\n")[2].splitlines()
    return False


def current_clip(journal: Path) -> str | None:
    """Return the id of the clip that a worker is reading, or was when it crashed; None between clips."""
    try:
        with journal.open("rb") as stream:
            stream.seek(max(0, journal.stat().st_size - _TAIL))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        if line[:1] in ("S", "D", "R"):
            return None
        if line[:2] == "B ":
            with suppress(ValueError):
                return str(json.loads(line[2:]))
    return None


@dataclass
class _Journal:
    """One journal as far as it was read."""

    position: int = 0
    number: int | None = None
    done: dict[int, tuple[int, int]] = field(default_factory=dict)  # shard -> finished clips, faces

    def read_on(self, path: Path) -> None:
        with suppress(OSError), path.open("rb") as stream:
            stream.seek(self.position)
            whole, newline, _ = stream.read().rpartition(b"\n")
            self.position += len(whole) + len(newline)
            for line in whole.decode("utf-8", "replace").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        kind, _, value = line.partition(" ")
        if kind not in ("S", "D") or not value.isdigit():
            return
        if kind == "S":
            self.number = int(value)
            self.done[self.number] = (0, 0)
        elif self.number is not None:
            clips, faces = self.done[self.number]
            self.done[self.number] = (clips + 1, faces + int(value))


class ProgressReader:
    """Reads the journals of a run; every call reads only what was appended since the last one.

    Args:
        folder: the folder of the journals; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journals: dict[Path, _Journal] = {}

    def read(self) -> tuple[int, int]:
        """Return the finished clips and the faces found, over all shards of the run."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                self._journals.setdefault(path, _Journal()).read_on(path)
        best: dict[int, tuple[int, int]] = {}  # a shard that was tried again can be in two journals
        for journal in self._journals.values():
            for number, done in journal.done.items():
                best[number] = max(done, best.get(number, (0, 0)))
        return sum(clips for clips, _ in best.values()), sum(faces for _, faces in best.values())


@contextmanager
def watched(folder: Path, advance: Advance, interval: float = 0.5) -> Iterator[None]:
    """Update a progress bar from the journals in a folder while the block runs."""
    stop = threading.Event()
    reader = ProgressReader(folder)
    shown = 0

    def update() -> None:
        nonlocal shown
        clips, faces = reader.read()
        if clips > shown:
            advance(clips - shown, f"{faces} faces")
            shown = clips

    def watch() -> None:
        while not stop.wait(interval):
            update()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        update()
