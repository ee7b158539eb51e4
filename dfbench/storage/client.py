"""The calls to fsspec: list, read, upload and download objects by URL. fsspec is imported when a URL is first used.

Credentials, endpoints and regions are found as fsspec and its packages find them: environment variables, their own
configuration files, the role of the machine. Whatever a package raises becomes ``OSError`` with the URL as file name,
so that callers treat stores and disks alike.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfbench.errors import DfbenchError, SetupError, UsageError
from dfbench.text import one_line

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Uploads to these appear whole or not at all; elsewhere (sftp, hdfs, smb) a temporary name is renamed.
_WHOLE_UPLOADS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "r2", "memory"})
_DENIED = ("credential", "forbidden", "accessdenied", "unauthorized", "signature")


@dataclass(frozen=True)
class StoredObject:
    """One object or folder of a store.

    Attributes:
        name: last part of its URL; in a listing of a whole tree, its POSIX path relative to the tree.
        size: bytes.
        mtime_ns: time of the last modification in nanoseconds; 0 where the store does not tell.
        version: changes with the content: the entity tag where there is one, else size and time.
        is_folder: whether it is a folder, or a prefix that objects share.
    """

    name: str
    size: int
    mtime_ns: int
    version: str
    is_folder: bool = False


def unreadable(what: object, error: OSError) -> tuple[str, str]:
    """Return message and hint of the error for what a store did not give."""
    return f"{what} cannot be read: {error.strerror or error}", "check the network and the credentials"


@contextmanager
def calls(url: str) -> Iterator[None]:
    """Raise ``OSError`` that names the URL in place of whatever a store's package raises in the block.

    Raises:
        OSError: the call failed; ``FileNotFoundError`` and ``PermissionError`` where that is the reason.
        SetupError: the package of the URL's protocol is not installed.
    """
    try:
        yield
    except DfbenchError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except ImportError as error:
        raise SetupError(
            f"{url} needs a package that is not installed: {one_line(error)[:200]}",
            'for S3: pip install "deepfake-dfbench[s3]"; for other stores, the package that fsspec names',
        ) from error
    except Exception as error:
        text = one_line(getattr(error, "strerror", None) or error)[:300] or type(error).__name__
        what = f"{type(error).__name__} {error}".casefold()
        denied = isinstance(error, PermissionError) or any(word in what for word in _DENIED)
        raise OSError(errno.EACCES if denied else getattr(error, "errno", None) or errno.EIO, text, url) from error


def _open_store(url: str) -> tuple[AbstractFileSystem, str]:
    # The file system is asked for at every call: fsspec keeps one per process and thread, also after a fork. Listings
    # are not kept, since other processes write.
    import fsspec

    try:
        store, path = fsspec.url_to_fs(url, use_listings_cache=False)
    except ValueError as error:
        raise UsageError(
            f"{url}: {one_line(error)}", "protocols are those of fsspec, for example s3:// or gs://"
        ) from error
    return store, path


def _described(found: Mapping[str, Any], name: str) -> StoredObject:
    size = int(found.get("size") or 0)
    moment = next((found[key] for key in _TIMES if found.get(key)), None)
    mtime_ns = _nanoseconds(moment)
    tag = next((str(found[key]) for key in ("ETag", "etag", "md5Hash", "content_md5") if found.get(key)), "")
    return StoredObject(name, size, mtime_ns, tag.strip('"') or f"{size}-{mtime_ns}", found["type"] == "directory")


_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0
    if isinstance(moment, datetime):
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000) * 1_000_000
    return int(moment * 1e9) if isinstance(moment, int | float) else 0


def describe(url: str) -> StoredObject | None:
    """Return what is at a URL; None if there is nothing.

    Raises:
        OSError: the store does not answer, or denies access.
    """
    try:
        with calls(url):
            store, path = _open_store(url)
            return _described(store.info(path), url.rpartition("/")[2])
    except FileNotFoundError:
        return None


def list_folder(url: str) -> list[StoredObject]:
    """Return what lies directly in a folder, sorted by name; empty if there is none.

    Raises:
        OSError: the store does not answer, or denies access.
    """
    try:
        with calls(url):
            store, path = _open_store(url)
            found = store.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    top = path.rstrip("/")
    named = [(str(entry["name"]).rstrip("/"), entry) for entry in found]
    inside = [_described(entry, name.rpartition("/")[2]) for name, entry in named if name.strip("/") != top.strip("/")]
    return sorted(inside, key=lambda entry: entry.name)


def list_tree(url: str) -> list[StoredObject]:
    """Return all objects below a folder, sorted by path; their names are paths relative to it.

    Raises:
        OSError: the store does not answer, or denies access.
    """
    with calls(url):
        store, path = _open_store(url)
        found = store.find(path, detail=True)
    top = f"{path.strip('/')}/"
    named = [(str(name).strip("/"), entry) for name, entry in found.items() if entry["type"] == "file"]
    inside = [_described(entry, name[len(top) :]) for name, entry in named if name.startswith(top)]
    return sorted((entry for entry in inside if entry.name), key=lambda entry: entry.name)


def read_range(url: str, start: int, stop: int) -> bytes:
    """Read bytes ``start`` to ``stop`` of an object, fewer where it ends before.

    Raises:
        OSError: it cannot be read.
    """
    with calls(url):
        store, path = _open_store(url)
        return bytes(store.cat_file(path, start=start, end=stop))


def upload(local: Path, url: str) -> None:
    """Copy a file to a URL, where it appears when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    with calls(url):
        store, path = _open_store(url)
        if url.partition("://")[0].casefold() in _WHOLE_UPLOADS:
            store.put_file(os.fspath(local), path)
            return
        folder, _, name = path.rpartition("/")
        store.makedirs(folder, exist_ok=True)
        waiting = f"{folder}/.tmp-{name}"
        store.put_file(os.fspath(local), waiting)
        store.mv(waiting, path)


def write_object(url: str, data: bytes) -> None:
    """Write a small object.

    Raises:
        OSError: it cannot be written.
    """
    with calls(url):
        store, path = _open_store(url)
        if url.partition("://")[0].casefold() not in _WHOLE_UPLOADS:
            store.makedirs(path.rpartition("/")[0], exist_ok=True)
        store.pipe_file(path, data)


def download(urls: Sequence[str], files: Sequence[Path]) -> None:
    """Copy objects to local files, several at a time; those that do not exist are left out.

    Raises:
        OSError: one cannot be read or written.
    """
    if not urls:
        return
    try:
        with calls(urls[0]):
            store = _open_store(urls[0])[0]
            store.get([_open_store(url)[1] for url in urls], [os.fspath(file) for file in files])
        return
    except FileNotFoundError:
        pass
    for url, file in zip(urls, files, strict=True):
        try:
            with calls(url):
                store, path = _open_store(url)
                store.get_file(path, os.fspath(file))
        except FileNotFoundError:
            file.unlink(missing_ok=True)


def remove(url: str) -> None:
    """Delete an object.

    Raises:
        OSError: it does not exist, where the store tells, or cannot be deleted.
    """
    with calls(url):
        store, path = _open_store(url)
        store.rm_file(path)


def move(url: str, target: str) -> None:
    """Rename an object within its store; object stores copy it and delete the old one.

    Raises:
        OSError: it does not exist, or cannot be written.
    """
    with calls(url):
        store, path = _open_store(url)
        store.mv(path, _open_store(target)[1])


class StoredFile(io.RawIOBase):
    """An object as a file for reading; every read is one request for just these bytes.

    Args:
        url: the object.
        size: its bytes.
    """

    def __init__(self, url: str, size: int) -> None:
        super().__init__()
        self._url = url
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readall(self) -> bytes:
        """Read the rest by one request."""
        data = read_range(self._url, self._position, self._size) if self._position < self._size else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._size)
        if stop <= self._position:
            return 0
        data = read_range(self._url, self._position, stop)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
