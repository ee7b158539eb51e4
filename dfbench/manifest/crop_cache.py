"""The cache of crops that do not lie in a manifest: degraded before cropping, or decoded for many epochs.

One folder ``crops/KEY`` in the user's cache folder holds one entry: the crops of one manifest under one condition at
one size. An entry grows by the rows that are wanted and missing, so that no crop is stored twice, whatever is selected.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfbench.config import cache_home
from dfbench.errors import SetupError
from dfbench.io import atomic_path, canonical_hash, remove_temporaries, write_json
from dfbench.locks import lock
from dfbench.manifest.shard_source import LocalFiles

Rows = npt.NDArray[np.int64]

PART = 4096
"""Crops per file of an entry: a process that is killed while it makes crops loses no more than these."""
ENTRY_FILE = "entry.json"
_WAIT_S = 7 * 24 * 3600.0
_PNG_SHARE = 0.6  # of the decoded size; measured 0.4 to 0.55 for faces


@dataclass(frozen=True)
class EntryInfo:
    """What the crops of an entry are.

    Attributes:
        manifest: folder of the manifest when the entry was made.
        hash: content hash of the manifest.
        condition: name of the degradation; ``clean`` for decoded crops.
        size: crop size in pixels.
        storage: ``png``, or ``raw`` for RGB bytes.
        versions: versions of all that decides the pixels.
    """

    manifest: str
    hash: str
    condition: str
    size: int
    storage: str
    versions: str

    @property
    def key(self) -> str:
        """Name of the entry's folder; it does not depend on where the manifest lies."""
        return canonical_hash([self.hash, self.condition, self.size, self.storage, self.versions])[:16]


@dataclass(frozen=True)
class CacheEntry:
    """One entry as it is on the disk.

    Attributes:
        key: its name.
        info: what its crops are; None where its description is not readable.
        crops: number of crops.
        bytes: size on the disk.
        used: seconds since the epoch when it was last used.
    """

    key: str
    info: EntryInfo | None
    crops: int
    bytes: int
    used: float


class CachedCrops:
    """Crops of an entry; item i is that of ``rows[i]``.

    Args:
        folder: of the entry.
        rows: int64 (n,), rows of the manifest, all of which the entry holds.
    """

    def __init__(self, folder: Path, rows: Rows) -> None:
        self._files = LocalFiles(folder)
        held, parts, spans = _read_index(folder)
        order = np.argsort(held, kind="stable")
        places = order[np.searchsorted(held, rows, sorter=order)]
        self._parts, self._spans = parts[places], spans[places]

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int) -> bytes:
        """Return a crop as it is stored.

        Raises:
            DataError: the file of the entry is missing or not complete.
        """
        start, stop = self._spans[index].tolist()
        return self._files.read(f"part-{self._parts[index]:05d}.bin", start, stop - start)


def crops_home() -> Path:
    """Return the folder of all entries."""
    return cache_home() / "crops"


def cached(info: EntryInfo, rows: Rows, make: Callable[[Rows], Iterable[bytes]]) -> CachedCrops:
    """Return crops of an entry; missing ones are made first, by one process, for which others wait.

    Args:
        info: what the crops are.
        rows: int64 (n,), rows of the manifest.
        make: given indices of ``rows``, rising, yields their crops as they are stored.

    Raises:
        SetupError: the disk has too little space for the missing crops, or the entry cannot be written.
    """
    folder = crops_home() / info.key
    if len(_missing(folder, rows)):
        busy = f"another process makes the crops of {info.manifest} under {info.condition}"
        with lock(crops_home() / f"{info.key}.lock", wait_s=_WAIT_S, busy=busy):
            missing = _missing(folder, rows)
            if len(missing):
                _check_space(folder, info, len(missing))
                remove_temporaries(folder)
                write_json(folder / ENTRY_FILE, asdict(info), sync=False)
                _write_parts(folder, rows[missing], iter(make(missing)))
    with suppress(OSError):  # the time of the last use; the cache may be read-only
        os.utime(folder / ENTRY_FILE)
    return CachedCrops(folder, rows)


def _missing(folder: Path, rows: Rows) -> Rows:
    return np.flatnonzero(~np.isin(rows, _read_index(folder)[0]))


def _read_index(folder: Path) -> tuple[Rows, npt.NDArray[np.int32], Rows]:
    """Return the rows that an entry holds, the number of the part of each, and first and last byte in it, (n, 2)."""
    rows, numbers, spans = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], [np.zeros((0, 2), np.int64)]
    for file in sorted(folder.glob("part-*.npy")):
        part = np.load(file)
        rows.append(part[:, 0])
        numbers.append(np.full(len(part), int(file.stem.removeprefix("part-")), np.int32))
        spans.append(part[:, 1:])
    return np.concatenate(rows), np.concatenate(numbers), np.concatenate(spans)


def _write_parts(folder: Path, rows: Rows, crops: Iterator[bytes]) -> None:
    number = 1 + max((int(file.stem.removeprefix("part-")) for file in folder.glob("part-*.npy")), default=-1)
    for first in range(0, len(rows), PART):
        of_part = rows[first : first + PART]
        ends = [0]
        with atomic_path(folder / f"part-{number:05d}.bin", sync=False) as temporary, temporary.open("wb") as stream:
            for data in islice(crops, len(of_part)):
                stream.write(data)
                ends.append(ends[-1] + len(data))
        # The index comes last: a part without one does not count.
        with atomic_path(folder / f"part-{number:05d}.npy", sync=False) as temporary, temporary.open("wb") as stream:
            np.save(stream, np.stack([of_part, ends[:-1], ends[1:]], axis=1).astype(np.int64))
        number += 1


def _check_space(folder: Path, info: EntryInfo, crops: int) -> None:
    """Raise :class:`SetupError` if the disk has less space than the crops are expected to need."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    needed = crops * 3 * info.size * info.size * (1.0 if info.storage == "raw" else _PNG_SHARE)
    if needed > free:
        raise SetupError(
            f"{existing} has {free / 1e9:.1f} GB free; {crops} crops under {info.condition} at {info.size} pixels "
            f"need about {needed / 1e9:.1f} GB in the cache",
            "free some space, see: dfbench cache list; or move the cache with the environment variable XDG_CACHE_HOME",
        )


def cache_entries() -> list[CacheEntry]:
    """Return all entries, those used last first."""
    home = crops_home()
    folders = [folder for folder in home.iterdir() if folder.is_dir()] if home.is_dir() else []
    return sorted((_entry(folder) for folder in folders), key=lambda entry: (-entry.used, entry.key))


def _entry(folder: Path) -> CacheEntry:
    try:
        info = EntryInfo(**json.loads((folder / ENTRY_FILE).read_text("utf-8")))
        used = (folder / ENTRY_FILE).stat().st_mtime
    except (OSError, ValueError, TypeError):
        info, used = None, folder.stat().st_mtime
    size = sum(file.stat().st_size for file in folder.iterdir())
    return CacheEntry(folder.name, info, len(_read_index(folder)[0]), size, used)


def remove_entry(entry: CacheEntry) -> None:
    """Delete an entry.

    Raises:
        SetupError: a process is adding crops to it.
    """
    folder = crops_home() / entry.key
    with lock(folder.with_name(f"{entry.key}.lock"), busy=f"another process adds crops to {entry.key}"):
        shutil.rmtree(folder, ignore_errors=True)


def other_sizes() -> dict[str, int]:
    """Return the size in bytes of everything else in the cache folder, by the first part of its path.

    Files directly in ``crops`` were written by dfbench 0.1.0; they are not read.
    """
    sizes: dict[str, int] = {}
    home = cache_home()
    for path in home.rglob("*") if home.is_dir() else ():
        name = path.relative_to(home).parts[0]
        of_entry = name == "crops" and (path.parent != crops_home() or path.suffix == ".lock")
        if path.is_file() and not of_entry:
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return dict(sorted(sizes.items()))


def remove_other(name: str) -> None:
    """Delete what :func:`other_sizes` lists under a name."""
    path = cache_home() / name
    if path.is_file():
        path.unlink()
    elif name == "crops":
        for file in path.iterdir():
            if file.is_file() and file.suffix != ".lock":
                file.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
