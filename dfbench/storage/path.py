"""Paths that are URLs of object stores."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from dfbench.errors import UsageError
from dfbench.storage import client

if TYPE_CHECKING or sys.version_info >= (3, 12):
    _PathBase = Path
else:
    _PathBase = type(Path())  # before Python 3.12, Path itself has no flavour and cannot be a base

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_BUFFER = 8 << 20


def is_url(text: str) -> bool:
    """Whether a text is a URL; a path with a colon is none.

    >>> is_url("s3://bucket/ff++"), is_url("folder:phones/a"), is_url("C:/data"), is_url("s3:/bucket")
    (True, False, False, False)
    """
    return _URL.match(text) is not None


def as_path(value: str | Path) -> Path:
    """Return the path that a user gave: a :class:`StoredPath` for the URL of a store, else a local path.

    Args:
        value: a local path, in which ``~`` stands for the home folder, or a URL. ``file://`` URLs are local paths.

    Raises:
        UsageError: the URL contains a password, or names no bucket.

    >>> as_path("s3://bucket/faces") / "manifest.json"
    StoredPath('s3://bucket/faces/manifest.json')
    """
    if isinstance(value, Path) or not is_url(value):
        return Path(value).expanduser() if not isinstance(value, StoredPath) else value
    scheme, _, rest = value.partition("://")
    if scheme.casefold() in ("file", "local"):
        return _local(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)
    if "@" in rest.partition("/")[0] and ":" in rest.partition("@")[0]:
        raise UsageError(
            f"the {scheme}:// URL contains a password, which would be printed and stored",
            "give it by environment variables or a configuration file, as fsspec describes",
        )
    if not rest.strip("/"):
        raise UsageError(f"{value} names no bucket or host", f"for example {scheme}://bucket/folder")
    return StoredPath(f"{scheme.casefold()}://{rest}")


def _local(text: str) -> Path:
    path = unquote(text)
    return Path(path[1:] if re.match(r"^/[A-Za-z]:", path) else path)  # file:///C:/data


class StoredPath(_PathBase):
    """The URL of an object or folder in a store, as a path.

    Joining and taking apart, looking, listing, reading, deleting and renaming work as for local paths. Files are
    written with :func:`dfbench.io.atomic_path`, which uploads them whole. Whatever else needs a path of the operating
    system raises :class:`UsageError`.
    """

    def __str__(self) -> str:
        first, *rest = self.parts
        return f"{first}//{'/'.join(rest)}"

    def __repr__(self) -> str:
        return f"StoredPath({str(self)!r})"

    def __fspath__(self) -> str:
        raise UsageError(f"{self} cannot be used here: a local path is needed", "copy it to a local folder first")

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        return type(self), tuple(self.parts)

    def as_posix(self) -> str:
        """Return the URL."""
        return str(self)

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def absolute(self) -> Self:
        """Return the same path."""
        return self

    def resolve(self, strict: bool = False) -> Self:
        """Return the same path."""
        return self

    def expanduser(self) -> Self:
        """Return the same path."""
        return self

    def exists(self, **_: Any) -> bool:
        """Whether there is an object, or a folder with objects."""
        return client.describe(str(self)) is not None

    def is_file(self, **_: Any) -> bool:
        """Whether it is an object."""
        found = client.describe(str(self))
        return found is not None and not found.is_folder

    def is_dir(self, **_: Any) -> bool:
        """Whether it is a folder with objects."""
        found = client.describe(str(self))
        return found is not None and found.is_folder

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def stat(self, **_: Any) -> os.stat_result:
        """Return type, size and time of modification in whole seconds."""
        found = client.describe(str(self))
        if found is None:
            raise FileNotFoundError(2, "no such object", str(self))
        kind, seconds = stat.S_IFDIR if found.is_folder else stat.S_IFREG, found.mtime_ns // 1_000_000_000
        return os.stat_result((kind | 0o644, 0, 0, 1, 0, 0, found.size, seconds, seconds, seconds))

    def iterdir(self) -> Generator[Self, None, None]:
        """Yield what lies directly in the folder, sorted by name."""
        for found in client.list_folder(str(self)):
            yield self / found.name

    def glob(self, pattern: str, **_: Any) -> Iterator[Self]:  # type: ignore[override]
        """Yield what lies directly in the folder and matches a pattern for its name."""
        return (path for path in self.iterdir() if fnmatchcase(path.name, pattern))

    def open(self, mode: str = "r", buffering: int = -1, encoding: str | None = None, **_: Any) -> IO[Any]:  # type: ignore[override]
        """Open the object for reading, as bytes (``rb``) or text (``r``)."""
        if mode not in ("r", "rb", "rt"):
            raise UsageError(f"{self} cannot be written in parts", "objects are written whole")
        found = client.describe(str(self))
        if found is None or found.is_folder:
            raise FileNotFoundError(2, "no such object", str(self))
        raw = client.StoredFile(str(self), found.size)
        if buffering == 0:
            return raw  # type: ignore[return-value]
        buffered = io.BufferedReader(raw, buffering if buffering > 1 else min(_BUFFER, max(found.size, 1)))
        return buffered if mode == "rb" else io.TextIOWrapper(buffered, encoding or "utf-8")

    def read_bytes(self) -> bytes:
        """Read the object."""
        with self.open("rb", buffering=0) as stream:
            data: bytes = stream.read()
        return data

    def read_text(self, encoding: str | None = None, *_: Any, **__: Any) -> str:
        """Read the object as text."""
        return self.read_bytes().decode(encoding or "utf-8")

    def write_bytes(self, data: Any) -> int:
        """Write a small object whole."""
        client.write_object(str(self), bytes(data))
        return len(data)

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Do nothing: folders of a store exist as soon as something is in them."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        try:
            client.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: str | PurePath) -> Self:  # type: ignore[override]
        """Rename the object within its store."""
        client.move(str(self), str(target))
        return type(self)(str(target))


def parquet_source(path: Path) -> Any:
    """Return what pyarrow reads a Parquet file from: an open object, or the local path.

    pyarrow takes a relative path with a colon for a URL.
    """
    return path.open("rb", buffering=0) if isinstance(path, StoredPath) else path.absolute()


@contextmanager
def uploaded(path: StoredPath, folder: Path, name: str) -> Iterator[Path]:
    """Give a local file that is uploaded when the block ends, and removed in any case.

    Args:
        path: the URL.
        folder: where the local file is, created if necessary.
        name: its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    local = folder / name
    try:
        yield local
        client.upload(local, str(path))
    finally:
        with suppress(OSError):
            local.unlink()


def check_writable(path: StoredPath, name: str) -> None:
    """Write and delete an object in a folder.

    Raises:
        OSError: the store does not answer, or denies one of the two.
    """
    trial = path / name
    trial.write_bytes(b"0")
    trial.unlink(missing_ok=True)
