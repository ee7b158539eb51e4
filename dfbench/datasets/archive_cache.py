"""Listings of archives, kept in the user's cache folder: to list an archive, all of it has to be inflated.

Every task of an array job lists the tree. With the cache, one of them inflates the archives, or a dry run before.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from dfbench.config import cache_home
from dfbench.datasets.archives import ArchiveListing, list_archive
from dfbench.errors import SetupError
from dfbench.io import data_sha256, write_bytes

VERSION = 1
"""Increased when :func:`dfbench.datasets.archives.list_archive` would list the same archive differently."""

YOUNGEST = 2.0
"""Seconds since the last change of an archive before its listing is kept: it could change again unnoticed."""


class _Kept(BaseModel):
    """What a file of the cache holds: the archive as it was when it was listed, and its listing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: int
    path: str
    size: int
    modified_ns: int
    changed_ns: int
    sequences: dict[str, int]
    unsafe: list[str]
    others: list[str]
    damage: str


def list_archive_once(path: Path, cache: Path | None = None) -> ArchiveListing:
    """Return what :func:`dfbench.datasets.archives.list_archive` returns, from the cache if the archive is unchanged.

    An archive is unchanged if its path, its size and the times of the last changes of its content and of its status
    are. A cache that cannot be read or written is no error.

    Args:
        path: the archive.
        cache: the cache folder; default: the user's.
    """
    try:
        before = os.stat(path)
    except OSError:
        return list_archive(path)
    where = os.path.abspath(path)
    folder = cache if cache is not None else cache_home() / "archive-listings"
    file = folder / f"{data_sha256(os.fsencode(where))[:32]}.json"
    state = (VERSION, where, before.st_size, before.st_mtime_ns, before.st_ctime_ns)
    kept = _read(file)
    if kept is not None and (kept.version, kept.path, kept.size, kept.modified_ns, kept.changed_ns) == state:
        return ArchiveListing(kept.sequences, tuple(kept.unsafe), tuple(kept.others), kept.damage)
    listing = list_archive(path)
    names = ("version", "path", "size", "modified_ns", "changed_ns")
    if time.time() - max(before.st_mtime, before.st_ctime) > YOUNGEST and _same(path, before):
        with suppress(SetupError, UnicodeEncodeError):
            content = json.dumps(dict(zip(names, state, strict=True)) | asdict(listing))
            write_bytes(file, content.encode("utf-8"), sync=False)
    return listing


def _same(path: Path, before: os.stat_result) -> bool:
    # Nothing is kept of an archive that changed while it was listed.
    try:
        after = os.stat(path)
    except OSError:
        return False
    return (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _read(file: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(file.read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
