"""Where the files of a manifest's shards are: one interface for everything that reads crops from them."""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import pyarrow.parquet as pq

from dfbench.errors import DataError
from dfbench.manifest.shards import open_shard
from dfbench.storage import StagedFiles, StagedTree, StoredPath
from dfbench.storage.client import StoredObject, list_folder, read_range, unreadable
from dfbench.storage.staging import staging_limit

AHEAD = 4 << 20
"""Bytes that are requested of a store where crops are read one after the other."""
NEAR = 1 << 20
"""Bytes after the last read where one that begins is taken to continue it."""


class ShardSource(Protocol):
    """Gives parts of files by name. It can be pickled, so that worker processes can read from it."""

    def open(self, file: str) -> pq.ParquetFile:
        """Open a shard as Parquet.

        Raises:
            DataError: it cannot be read as Parquet.
        """
        ...

    def read(self, file: str, start: int, length: int) -> bytes:
        """Read bytes of a file.

        Raises:
            DataError: the file cannot be read, or ends before.
        """
        ...


class LocalFiles:
    """Files of a folder. A limited number stays open; every read states its position, so that processes can share them.

    Args:
        folder: the folder.
    """

    most_open = 256
    """Largest number of files that a process holds open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def open(self, file: str) -> pq.ParquetFile:
        """See :class:`ShardSource`."""
        return open_shard(self._folder / file)

    def read(self, file: str, start: int, length: int) -> bytes:
        """See :class:`ShardSource`."""
        try:
            with self._lock:
                data = _read_at(self._descriptor(file), start, length)
        except OSError as error:
            raise DataError(
                f"{self._folder / file} cannot be read: {error.strerror or error}", "check the path and its permissions"
            ) from error
        if len(data) != length:
            raise DataError(f"{self._folder / file} ends too early: it is not complete", "copy or make it again")
        return data

    def _descriptor(self, file: str) -> int:
        if file in self._open:
            self._open.move_to_end(file)
            return self._open[file]
        if len(self._open) >= self.most_open:
            os.close(self._open.popitem(last=False)[1])
        self._open[file] = self._opened(file)
        return self._open[file]

    def _opened(self, file: str) -> int:
        return os.open(self._folder / file, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __getstate__(self) -> dict[str, Any]:
        # The other process opens the files itself.
        return {"folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)


class CopiedFiles(LocalFiles):
    """Files of a folder in a store that are copied whole, when they are first read, into the cache of staged files.

    Args:
        folder: the folder.
        objects: name of a file -> what the store says of it.
    """

    most_open = 16  # an open file takes space even after the cache has dropped it

    def __init__(self, folder: StoredPath, objects: Mapping[str, StoredObject]) -> None:
        super().__init__(folder)
        self._objects = objects

    def _opened(self, file: str) -> int:
        if file not in self._objects:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with StagedFiles(StagedTree(str(self._folder), {file: (self._objects[file],)})) as staged:
            staged.fetch([file])
            return os.open(staged.root / file, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder, "objects": self._objects}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"], state["objects"])  # type: ignore[misc]


class StoredFiles:
    """Files of a folder in a store, of which parts are requested. Where reads follow each other, more is requested.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: StoredPath) -> None:
        self._folder = folder
        self._lock = Lock()
        self._file, self._start, self._end, self._data = "", 0, -1, b""

    def open(self, file: str) -> pq.ParquetFile:
        """See :class:`ShardSource`."""
        return open_shard(self._folder / file)

    def read(self, file: str, start: int, length: int) -> bytes:
        """See :class:`ShardSource`."""
        with self._lock:
            begin = start - self._start
            if file != self._file or begin < 0 or begin + length > len(self._data):
                follows = file == self._file and 0 <= start - self._end <= NEAR
                self._fetch(file, start, max(length, AHEAD) if follows else length)
                begin = 0
            data = self._data[begin : begin + length]
            self._end = start + length
        if len(data) != length:
            raise DataError(f"{self._folder / file} ends too early: it is not complete", "copy or make it again")
        return data

    def _fetch(self, file: str, start: int, length: int) -> None:
        url = str(self._folder / file)
        try:
            self._data = read_range(url, start, start + length)
        except OSError as error:
            raise DataError(*unreadable(url, error)) from error
        self._file, self._start = file, start

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]


def shard_source(folder: Path) -> ShardSource:
    """Return what reads the files of a manifest's folder.

    Those of a store are copied where all of them fit into the cache of staged files; else parts of them are requested.

    Raises:
        DataError: the store does not answer.
    """
    if not isinstance(folder, StoredPath):
        return LocalFiles(folder)
    try:
        objects = {entry.name: entry for entry in list_folder(str(folder))}
    except OSError as error:
        raise DataError(*unreadable(folder, error)) from error
    fits = sum(entry.size for entry in objects.values()) <= staging_limit()
    return CopiedFiles(folder, objects) if fits else StoredFiles(folder)


def _read_at(descriptor: int, start: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # Windows
    return os.read(descriptor, length)
