"""Files written whole or not at all, and hashes: the only module that knows how.

A file is written under a temporary name in its own folder, flushed to the disk and renamed. Whoever looks at the final
name sees the old file or the complete new one, whatever happens in between. Operating system errors become
:class:`~dfbench.errors.SetupError`, which names the path and the remedy.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.storage.path import StoredPath, as_path, check_writable, uploaded
from dfbench.storage.staging import staging_home
from dfbench.text import path_text

if TYPE_CHECKING:
    import pyarrow as pa

# fmt: off
__all__ = [
    "TEMPORARY", "atomic_path", "canonical_hash", "canonical_json", "check_output_file", "check_output_folder",
    "data_sha256", "file_sha256", "is_temporary", "make_folder", "open_for_appending", "remove_temporaries",
    "translate_os_errors", "write_bytes", "write_json", "write_table", "write_text",
]
# fmt: on

TEMPORARY = ".tmp-"
"""How the names of unfinished files begin: ``.tmp-NAME-PROCESS-RANDOM``. They never end like the finished file."""

_LONGEST = 120  # bytes of the final name that the temporary one repeats; names are limited to 255 bytes

DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}


def _located(path: str | Path) -> Path:
    # Paths are used as they are: a folder below this one may be named ~x. Only what is text may be a URL.
    return path if isinstance(path, Path) else as_path(path)


@contextmanager
def atomic_path(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary path that replaces ``path`` when the block ends, or is removed when the block fails.

    The folder is created if necessary. Close the file inside the block. For a URL the temporary path is on a local
    disk, and the file is uploaded when the block ends.

    Args:
        path: the final path.
        sync: flush the file and its folder to the disk, so that the file survives a power failure; ``False`` for
            files that can be made again.

    Yields:
        A path in the same folder. Its name begins with :data:`TEMPORARY` and has no suffix that a reader could
        mistake for a finished file.

    Raises:
        SetupError: the file cannot be written: full disk, missing permission, a path below a file.
    """
    path = _located(path)
    start = os.fsencode(path.name)[:_LONGEST].decode("utf-8", "ignore")
    temporary = path.with_name(f"{TEMPORARY}{start}-{os.getpid()}-{secrets.token_hex(4)}")
    with translate_os_errors(path):
        if isinstance(path, StoredPath):
            with uploaded(path, staging_home() / "uploads", temporary.name) as local:
                yield local
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if sync:
                _flush_file(temporary)
            os.replace(temporary, path)
            if sync:
                _flush_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()


def write_bytes(path: str | Path, data: bytes | memoryview, *, sync: bool = True) -> None:
    """Write a binary file atomically; see :func:`atomic_path`."""
    with atomic_path(path, sync=sync) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str, *, sync: bool = True) -> None:
    """Write a UTF-8 text file atomically, with the line ends as given; halves of surrogate pairs as escapes."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"), sync=sync)


def write_json(path: str | Path, value: Any, *, indent: int | None = 2, sync: bool = True) -> None:
    """Write a JSON file atomically, with a newline at its end; see :func:`atomic_path`."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n", sync=sync)


def write_table(path: str | Path, table: pa.Table, *, compression: str = "zstd", sync: bool = True) -> None:
    """Write a Parquet file atomically; see :func:`atomic_path`."""
    import pyarrow.parquet as pq

    with atomic_path(path, sync=sync) as temporary:
        pq.write_table(table, temporary, compression=compression)


def open_for_appending(path: Path, encoding: str = "utf-8") -> IO[str]:
    """Open a text file for reading and appending. A link is not followed: a foreign folder can hold one to any file.

    Raises:
        OSError: it cannot be opened, or is a link.
    """

    def open_no_link(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)

    return open(path, "a+", encoding=encoding, errors="replace", opener=open_no_link)


def is_temporary(path: str | Path) -> bool:
    """Whether the name is one of an unfinished file.

    >>> is_temporary("run/.tmp-scores.parquet-71-0a1b2c3d"), is_temporary("run/scores.parquet")
    (True, False)
    """
    return Path(path).name.startswith(TEMPORARY)


def remove_temporaries(folder: Path, *, recursive: bool = False) -> None:
    """Remove the unfinished files that a killed process left in a folder; call it with the folder's lock held."""
    for path in (folder.rglob if recursive else folder.glob)(f"{TEMPORARY}*"):
        with suppress(OSError):
            path.unlink()


def make_folder(path: str | Path) -> Path:
    """Create a folder and its parents; it may exist already.

    Raises:
        SetupError: it cannot be created.
    """
    path = _located(path)
    with translate_os_errors(path, "could not be created"):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _flush_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    # The rename itself. Windows cannot do this, and some network file systems refuse: the file is whole either way.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def translate_os_errors(path: str | Path, what: str = "could not be written", option: str = "") -> Iterator[None]:
    """Raise :class:`SetupError` in place of any ``OSError`` of the block.

    Args:
        path: what the block writes; the message names it.
        what: the message after the path.
        option: the option that gives the path, for the hint: ``--out DIR``.

    Raises:
        SetupError: the block raised ``OSError``. The hint depends on the cause: full disk, missing permission, a
            path that cannot exist.
    """
    try:
        yield
    except OSError as error:
        raise _setup_error(_located(path), error, what, option) from error


def _setup_error(path: Path, error: OSError, what: str, option: str) -> SetupError:
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(path, StoredPath):
        hint = f"check the URL, the network and the credentials, or {_elsewhere(option)}"
        return SetupError(f"{path} {what}: {reason}", hint)
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else path
    if named.parent != path.parent and named not in path.parents:
        reason = f"{reason}: {named}"
    return SetupError(f"{path} {what}: {reason}", _remedy(path, error.errno, option))


def _remedy(path: Path, code: int | None, option: str) -> str:
    elsewhere = _elsewhere(option)
    if code in DISK_FULL:
        folder = _nearest_existing(path)
        free = ""
        with suppress(OSError):
            free = f" ({shutil.disk_usage(folder).free / 1e6:.0f} MB are free)"
        return f"free some space on the disk of {folder}{free} and run the same command again; finished files are kept"
    if code in _DENIED:
        return f"check the permissions of {_nearest_existing(path)}, or {elsewhere}"
    if code in _WRONG_PATH:
        return f"{elsewhere}: a part of this path is a file, or the path is too long"
    if code == errno.EMFILE:
        return "raise the limit of open files (ulimit -n), or use fewer workers"
    return f"check that {_nearest_existing(path)} is a writable folder, or {elsewhere}"


def _elsewhere(option: str) -> str:
    return f"choose another location with {option}" if option else "choose another location"


def check_output_folder(path: str | Path, option: str = "") -> Path:
    """Check that files can be written to a folder that exists or can be created; nothing is left behind.

    Call it before the work whose result goes there. What else may lie in the folder is the caller's concern.

    Args:
        path: the folder; it and its parents may be missing.
        option: the option that gives it, for the hint: ``--out DIR``.

    Returns:
        The path.

    Raises:
        UsageError: it is a file or lies below one, or no folder can have that name; of ``--out`` also if its name is
            not UTF-8.
        SetupError: it is not writable: permissions, a read-only or a full disk.
    """
    path = _located(path)
    if option.startswith("--out") and path_text(str(path)) != str(path):  # PyArrow opens no other names
        raise UsageError(
            f"the name of the folder {path} is not UTF-8, as a folder for tables must be", _elsewhere(option)
        )
    with translate_os_errors(path, "cannot be used for output", option):
        if isinstance(path, StoredPath):
            check_writable(path, f"{TEMPORARY}{secrets.token_hex(4)}")
            return path
        _check_name(path)
        folder = _nearest_existing(path)
        if not folder.is_dir():
            if folder == path:
                raise UsageError(f"{path} is a file, not a folder", _elsewhere(option))
            raise UsageError(f"the folder {path} cannot be created: {folder} is not a folder", _elsewhere(option))
        # Permission bits say too little: root ignores them, read-only and quota-bound file systems do not show in them.
        with tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY) as trial:
            trial.write(b"0")
            trial.flush()
    return path


def check_output_file(path: str | Path, option: str = "") -> Path:
    """Check that a file can be created or replaced; nothing is left behind. See :func:`check_output_folder`.

    Returns:
        The path.

    Raises:
        UsageError: it is a folder, or its folder is a file or lies below one.
        SetupError: its folder is not writable.
    """
    path = _located(path)
    with translate_os_errors(path, "cannot be used for output", option):
        if not isinstance(path, StoredPath):
            _check_name(path)
        if path.is_dir():
            raise UsageError(f"{path} is a folder; the output is a file", f"name a file in it, as {path / 'NAME'}")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is a device, pipe or socket; the output is a file", _elsewhere(option))
        check_output_folder(path.parent, option)
    return path


def _check_name(path: Path) -> None:
    """Refuse what the file system cannot have as a name; a name too long raises ``OSError``."""
    if "\0" in str(path):
        raise UsageError(f"not a path: {str(path)!r}", "name a file or folder for the output")
    folder = _nearest_existing(path)
    missing = path.absolute().relative_to(folder.absolute()).parts
    for candidate in (path, *(folder / name for name in missing)):  # below a missing folder no name is looked at
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(candidate)


def _nearest_existing(path: Path) -> Path:
    """The path itself or the first of its parents that exists; a broken link counts as existing."""
    absolute = path if path.is_absolute() else Path.cwd() / path
    for candidate in (absolute, *absolute.parents):
        if os.path.lexists(candidate):
            return path if candidate == absolute else candidate
    return absolute


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with _located(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the path and its permissions") from error


def data_sha256(data: str | bytes | Iterable[bytes]) -> str:
    """SHA-256 of a text (as UTF-8), of bytes, or of several pieces of bytes one after the other.

    >>> data_sha256("ab") == data_sha256(b"ab") == data_sha256([b"a", b"b"])
    True
    """
    if isinstance(data, str):
        data = data.encode()
    digest = hashlib.sha256()
    for piece in (data,) if isinstance(data, bytes) else data:
        digest.update(piece)
    return digest.hexdigest()


def canonical_json(value: Any, *, compact: bool = True) -> str:
    r"""JSON with sorted keys, in ASCII: equal values give equal text.

    Args:
        value: plain values.
        compact: no spaces after commas and colons; ``False`` for one space, which identifiers of runs, trainings
            and the mini data set have contained since 0.1.0.

    >>> canonical_json({"b": [1, 2], "a": "é"})
    '{"a":"\\u00e9","b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":") if compact else None)


def canonical_hash(value: Any, *, compact: bool = True) -> str:
    """SHA-256 of :func:`canonical_json`, as 64 hexadecimal digits.

    >>> canonical_hash({"b": 1, "a": 2}) == canonical_hash({"a": 2, "b": 1})
    True
    """
    return data_sha256(canonical_json(value, compact=compact))
