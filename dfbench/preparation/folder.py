"""The manifest's folder before and during a run: what may lie in it, and that one run at a time writes there."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.manifest.info import MANIFEST_FILE, read_info
from dfbench.manifest.shards import TEMPORARY
from dfbench.preparation.recipe import canonical_hash, differences

LOCK_FILE = ".lock"
_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_SHARD = re.compile(r"^shard-\d{5,}\.parquet$")


def check_folder(out: Path, recipe: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another manifest or somebody's files.

    Raises:
        UsageError: a manifest of another recipe lies there.
        DataError: a manifest of another format version, or files that are not a manifest's.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder", "give --out DIR")
    if not out.is_dir():
        return
    foreign = sorted(p.name for p in out.iterdir() if not _own(p.name))
    has_manifest = (out / MANIFEST_FILE).is_file()
    if foreign and not has_manifest:
        raise DataError(
            f"the folder {out} holds files that are not a manifest's: {', '.join(foreign[:3])}",
            "give --out DIR with an empty or new folder",
        )
    if not has_manifest:
        return
    info = read_info(out)
    if info.recipe_hash != canonical_hash(recipe):
        differ = ", ".join(differences(recipe, info.recipe))
        raise UsageError(
            f"{out} holds a manifest made by another recipe (it differs in: {differ})",
            f"give --out DIR for a second manifest, or delete {out} first",
        )


def _own(name: str) -> bool:
    return name in (MANIFEST_FILE, LOCK_FILE) or name.startswith(TEMPORARY) or _SHARD.match(name) is not None


def clear_temporary(out: Path) -> None:
    """Remove what a killed run left behind."""
    for path in out.glob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def remove_stale_shards(out: Path, keep: set[str]) -> None:
    """Remove shard files that the plan does not have."""
    for path in out.iterdir():
        if _SHARD.match(path.name) and path.name not in keep:
            path.unlink(missing_ok=True)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder's lock. The system frees it when its process dies, so a killed run leaves no lock behind.

    Raises:
        SetupError: another ``prepare`` is at work there, or the folder can not be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{out} can not be made: {error.strerror}", "choose another folder with --out DIR") from error
    path = out / LOCK_FILE
    while True:
        try:
            stream = path.open("a+", encoding="ascii")
        except OSError as error:
            raise SetupError(
                f"{out} can not be written: {error.strerror}", "choose another folder with --out DIR"
            ) from error
        with stream:
            _take(stream, out)
            if not _still_there(path, stream):
                continue  # its last holder removed it between our opening and our locking
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _take(stream: IO[str], out: Path) -> None:
    try:
        _lock(stream)
    except OSError as error:
        if error.errno not in _BUSY:
            return  # a file system without locks
        stream.seek(0)
        holder = stream.read().strip()
        raise SetupError(
            f"another prepare is at work in {out}" + (f" (process {holder})" if holder else ""),
            "wait for it to end, or give --out DIR",
        ) from error


def _lock(stream: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _still_there(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
