"""How far each shard is: small files that workers write and others read, on any engine and over any death."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfbench.io import TEMPORARY
from dfbench.progress import Advance

_RECORD = struct.Struct("<I")  # one record a finished clip: the faces found in it


def tally_path(folder: Path, number: int) -> Path:
    """The tally file of a shard; it exists once a worker has begun the shard."""
    return folder / f"{TEMPORARY}tally-{number:05d}"


def mark_path(folder: Path, number: int) -> Path:
    """The file that names the clip which the worker of a shard is reading."""
    return folder / f"{TEMPORARY}reading-{number:05d}"


class Tally:
    """One shard's tally and mark, written by its worker.

    Args:
        folder: the manifest's.
        number: of the shard.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = tally_path(folder, number)
        self._mark = mark_path(folder, number)
        self._path.write_bytes(b"")
        self._mark.write_bytes(b"")

    def clip_begun(self, media_id: str) -> None:
        """Note the clip that is read next: should the process die, this is the clip that it died on."""
        self._mark.write_text(media_id, "utf-8")

    def clip_done(self, faces: int) -> None:
        """Note a finished clip and the faces found in it."""
        self._mark.write_bytes(b"")
        with self._path.open("ab") as stream:
            stream.write(_RECORD.pack(faces))


def has_begun(folder: Path, number: int) -> bool:
    """Whether a worker has begun the shard in this run."""
    return tally_path(folder, number).exists()


def clip_under_work(folder: Path, number: int) -> str | None:
    """The id of the clip that a shard's worker is reading, or was reading when it died; None between clips."""
    try:
        return mark_path(folder, number).read_text("utf-8") or None
    except FileNotFoundError:
        return None


def read_tallies(folder: Path) -> tuple[int, int]:
    """Clips finished and faces found, over all shards of this run."""
    clips = faces = 0
    for path in folder.glob(f"{TEMPORARY}tally-*"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        whole = len(data) // _RECORD.size
        clips += whole
        faces += sum(value for (value,) in _RECORD.iter_unpack(data[: whole * _RECORD.size]))
    return clips, faces


@contextmanager
def watched(folder: Path, advance: Advance, interval: float = 0.5) -> Iterator[None]:
    """Feed a progress bar from the tallies while the body runs."""
    stop = threading.Event()
    shown = 0

    def look() -> None:
        nonlocal shown
        clips, faces = read_tallies(folder)
        if clips > shown:
            advance(clips - shown, f"{faces} faces")
            shown = clips

    def watch() -> None:
        while not stop.wait(interval):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        look()
