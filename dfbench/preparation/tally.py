"""How far each shard is: small files that workers append to and the parent reads, on any engine and for any kill."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dfbench.manifest.shards import TEMPORARY
from dfbench.progress import Advance

_RECORD = struct.Struct("<I")  # one record a finished clip: the faces found in it


def tally_path(folder: Path, number: int) -> Path:
    """The tally file of a shard; it exists once a worker has begun the shard."""
    return folder / f"{TEMPORARY}tally-{number:05d}"


class Tally:
    """One shard's tally, written by its worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(b"")

    def clip_done(self, faces: int) -> None:
        """Note a finished clip and the faces found in it."""
        with self._path.open("ab") as stream:
            stream.write(_RECORD.pack(faces))


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
