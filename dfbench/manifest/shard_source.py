"""Where the files of a manifest's shards are: one interface for everything that reads crops from them."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import pyarrow.parquet as pq

from dfbench.errors import DataError
from dfbench.manifest.shards import open_shard

MOST_OPEN = 256
"""Largest number of files that a process holds open for reading crops."""


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
        if len(self._open) >= MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])
        self._open[file] = os.open(self._folder / file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return self._open[file]

    def __getstate__(self) -> dict[str, Any]:
        # The other process opens the files itself.
        return {"folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)


def _read_at(descriptor: int, start: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, start)
    os.lseek(descriptor, start, os.SEEK_SET)  # Windows
    return os.read(descriptor, length)
