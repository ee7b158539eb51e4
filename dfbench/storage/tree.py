"""The tree of a data set in a store, as local folders with its names: adapters list it as they list a disk."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dfbench.errors import DataError, SetupError
from dfbench.storage import client
from dfbench.storage.client import StoredObject
from dfbench.storage.path import StoredPath
from dfbench.storage.staging import (
    LIMIT_VARIABLE,
    StagedFiles,
    StagedTree,
    own_folder,
    stage,
    staging_home,
    staging_limit,
)
from dfbench.text import one_line

Reads = Callable[[str], bool]
"""Name of a file -> whether it is read while the tree is listed, as label files and archives are."""


class StoredTree:
    """Local folders with the names, sizes and times of a stored tree.

    Media are empty files of the right size that take no space; label files and archives are copied. The folders are
    removed when the object is, or at the end of the process.

    Args:
        place: the URL of the tree.
        reads: see :data:`Reads`.

    Attributes:
        place: the URL.
        folder: the local folder.
        skipped: objects whose names no local path can have.

    Raises:
        DataError: there is nothing at the URL.
        SetupError: the store cannot be read, or the files to be copied are larger than the cache may be.
    """

    def __init__(self, place: StoredPath, reads: Reads) -> None:
        self.place = place
        try:
            listed = client.list_tree(str(place))
        except OSError as error:
            raise SetupError(
                f"{place} cannot be listed: {error.strerror or error}", "check the URL, the network and the credentials"
            ) from error
        if not listed:
            raise DataError(f"there is nothing at {place}", "check the URL in --root or in the configuration")
        self._objects: Mapping[str, StoredObject] = {o.name: o for o in listed if _is_usable(o.name)}
        self.skipped = tuple(one_line(o.name) for o in listed if not _is_usable(o.name))
        home = staging_home()
        self.folder = own_folder(home)
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        copied = [o for o in self._objects.values() if reads(o.name.rpartition("/")[2])]
        _check_size(place, copied)
        stage(str(place), copied, self.folder, home, staging_limit())
        try:
            self._write_names({o.name for o in copied})
        except OSError as error:
            raise SetupError(
                f"{self.folder} cannot be written: {error.strerror or error}", "free some space on its disk"
            ) from error

    def _write_names(self, present: set[str]) -> None:
        latest: dict[Path, int] = {}
        for entry in self._objects.values():
            path = self.folder / entry.name
            parent = path.parent
            if parent not in latest:
                parent.mkdir(parents=True, exist_ok=True)
            latest[parent] = max(latest.get(parent, 0), entry.mtime_ns)
            if entry.name not in present:
                with path.open("wb") as stream:
                    stream.truncate(entry.size)
                os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
        for folder, time_ns in latest.items():  # stores have no times of folders
            os.utime(folder, ns=(time_ns, time_ns))

    def part(self, root: Path, media: Mapping[str, Iterable[str]]) -> StagedTree:
        """Return where the files of some media are.

        Args:
            root: local folder that the paths are relative to: :attr:`folder` or one below it.
            media: path of a medium -> the files and folders that are needed to read it.
        """
        below = root.relative_to(self.folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        url = f"{self.place}/{prefix}".rstrip("/")
        return StagedTree(
            url,
            {
                path: tuple(o for name in needed for o in self._below(root, prefix, name))
                for path, needed in media.items()
            },
        )

    def _below(self, root: Path, prefix: str, name: str) -> Iterable[StoredObject]:
        folder = root / name
        for one in sorted(f"{name}/{inner}" for inner in os.listdir(folder)) if folder.is_dir() else [name]:
            found = self._objects.get(prefix + one)
            if found is not None:
                yield replace(found, name=one)


@contextmanager
def copied(root: StoredPath, path: str) -> Iterator[Path]:
    """Copy a file, or the files of a folder, for the length of a block.

    Args:
        root: URL that the path is relative to.
        path: POSIX path of the file or folder. What does not exist is left out.

    Yields:
        A local folder, in which the path leads to the copy.

    Raises:
        SetupError: the store cannot be read.
    """
    try:
        own = client.describe(f"{root}/{path}")
        inside = client.list_folder(f"{root}/{path}") if own is not None and own.is_folder else []
    except OSError as error:
        raise SetupError(*client.unreadable(f"{root}/{path}", error)) from error
    found = [replace(o, name=f"{path}/{o.name}") for o in inside if not o.is_folder]
    if own is not None and not own.is_folder:
        found = [replace(own, name=path)]
    with StagedFiles(StagedTree(str(root), {path: tuple(found)})) as staged:
        staged.fetch([path])
        yield staged.root


def _is_usable(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return not {"", ".", ".."} & set(parts) and "\0" not in name and (os.name != "nt" or ":" not in name)


def _check_size(place: StoredPath, copied: Iterable[StoredObject]) -> None:
    total, limit = sum(entry.size for entry in copied), staging_limit()
    if total > max(limit, 1_000_000_000):
        raise SetupError(
            f"the label files and archives of {place} take {total / 1e9:.1f} GB; they are copied to list the media, "
            f"and the cache may take {limit / 1e9:.1f} GB",
            f"unpack the archives in the store, or set {LIMIT_VARIABLE}",
        )
