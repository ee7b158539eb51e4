"""The progress of each shard: small files that workers write and others read, on any engine and after crashes."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfbench.io import TEMPORARY
from dfbench.progress import Advance

_RECORD = struct.Struct("<I")  # one record per finished clip: the number of faces found in it


def count_path(folder: Path, number: int) -> Path:
    """Return the file that counts the finished clips of a shard; it exists once a worker has begun the shard."""
    return folder / f"{TEMPORARY}tally-{number:05d}"


def current_clip_path(folder: Path, number: int) -> Path:
    """Return the file that names the clip which the worker of a shard is reading."""
    return folder / f"{TEMPORARY}reading-{number:05d}"


class ShardProgress:
    """The progress files of one shard, written by its worker.

    Args:
        folder: the manifest's folder.
        number: number of the shard.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = count_path(folder, number)
        self._mark = current_clip_path(folder, number)
        self._path.write_bytes(b"")
        self._mark.write_bytes(b"")

    def clip_begun(self, media_id: str) -> None:
        """Record the clip that is read next: if the process crashes, this clip is the cause."""
        self._mark.write_text(media_id, "utf-8")

    def clip_done(self, faces: int) -> None:
        """Record a finished clip and the number of faces found in it."""
        self._mark.write_bytes(b"")
        with self._path.open("ab") as stream:
            stream.write(_RECORD.pack(faces))


def has_begun(folder: Path, number: int) -> bool:
    """Whether a worker has begun the shard in this run."""
    return count_path(folder, number).exists()


def current_clip(folder: Path, number: int) -> str | None:
    """Return the id of the clip that a shard's worker is reading, or was when it crashed; None between clips."""
    try:
        return current_clip_path(folder, number).read_text("utf-8") or None
    except FileNotFoundError:
        return None


def read_progress(folder: Path) -> tuple[int, int]:
    """Return the finished clips and the faces found, over all shards of this run."""
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
    """Update a progress bar from the progress files while the block runs."""
    stop = threading.Event()
    shown = 0

    def update() -> None:
        nonlocal shown
        clips, faces = read_progress(folder)
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
