"""What files of strangers contain: JSON and TOML of bounded depth, regular files, relative paths.

Manifests, archives, weights, score files and data sets are exchanged. Nothing in them is used unchecked as a path, a
format string or terminal output (see :mod:`dfbench.text`).
"""

from __future__ import annotations

import codecs
import json
import math
import os
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from dfbench.errors import DataError, DfbenchError
from dfbench.storage.path import StoredPath

__all__ = [
    "encoding_of",
    "is_clutter",
    "is_relative",
    "leads_outside",
    "open_regular",
    "read_at_most",
    "read_json",
    "read_toml",
    "repeated_key",
]

LARGEST_TEXT = 256 * 2**20
"""Bytes of a JSON or TOML file. The largest that dfbench writes list the skipped files of a data set: megabytes."""
_CHUNK = 2**20
DEEPEST = 64
"""Levels of nested lists and objects in a JSON or TOML file."""

_ENCODINGS = (  # in this order: the mark of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 4096  # bytes

_CLUTTER = frozenset(
    {
        *("__macosx", ".ds_store", ".appledouble", "icon\r", ".trashes", ".spotlight-v100", ".fseventsd"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "#recycle", "lost+found"),
    }
)


def is_clutter(name: str) -> bool:
    """Whether a file or folder is one that operating systems leave behind: ``._x``, ``__MACOSX``, ``Thumbs.db``, ...

    Args:
        name: name of the file or folder, without its path.

    >>> is_clutter("._0001.png"), is_clutter("__MACOSX"), is_clutter("0001.png")
    (True, True, False)
    """
    return name.startswith("._") or name.casefold() in _CLUTTER


def is_relative(path: str) -> bool:
    r"""Whether a path is relative and does not leave the folder it is relative to, on any operating system.

    >>> is_relative("a/b.mp4"), is_relative("../b.mp4"), is_relative("/b.mp4"), is_relative("C:/b.mp4")
    (True, False, False, False)
    >>> is_relative("a\\..\\..\\b.mp4")
    False
    """
    parts = path.replace("\\", "/").split("/")
    rooted = path.startswith(("/", "\\")) or bool(PureWindowsPath(path).drive)
    return bool(path) and not rooted and ".." not in parts and "\0" not in path


def leads_outside(path: Path) -> bool:
    """Whether a path is a link to something that is not in its folder."""
    return path.is_symlink() and not _resolved(path).is_relative_to(_resolved(path.parent))


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for links that form a cycle


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; a named pipe, a socket or a device is never waited for.

    Raises:
        DataError: it is not a regular file, or cannot be read.
    """
    try:
        if isinstance(path, StoredPath):
            return path.open("rb")
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {why}", "check the path and its permissions") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(
            f"{path} cannot be read: it is not a regular file",
            "pipes, sockets and devices are not read; copy the content",
        )
    return os.fdopen(handle, "rb")


def read_at_most(stream: IO[bytes], limit: int) -> bytes:
    """Return the content of a file, of a larger one its first ``limit`` + 1 bytes.

    ``stream.read(limit + 1)`` would reserve memory for as many bytes, however small the file is.
    """
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := stream.read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def repeated_key(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """Return a key that occurs twice in an object of a JSON text, or None; the parser would drop its first value.

    >>> repeated_key([("a", 1), ("b", 2), ("b", 3)]), repeated_key([("a", 1)])
    ('b', None)
    """
    counts = Counter(name for name, _ in pairs)
    return next((name for name, count in counts.items() if count > 1), None)


def encoding_of(data: bytes) -> str:
    """Return the encoding of a text: by its byte order mark or by the null bytes of UTF-16, else UTF-8.

    >>> encoding_of(b"path"), encoding_of("path".encode("utf-16")), encoding_of("path".encode("utf-16-be"))
    ('utf-8', 'utf-16', 'utf-16-be')
    """
    for mark, name in _ENCODINGS:
        if data.startswith(mark):
            return name
    start = data[:_LOOKED_AT]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Digits, separators and Latin letters have a null byte there, and none elsewhere.
        if start and 2 * start[offset::2].count(0) > len(start) // 2 and not start[1 - offset :: 2].count(0):
            return name
    return "utf-8"


def read_json(path: Path, hint: str = "", error: type[DfbenchError] = DataError) -> Any:
    """Read a JSON file whose content is not trusted.

    Args:
        path: the file.
        hint: the remedy where it is damaged.
        error: class of the exception.

    Returns:
        Plain values: nested at most :data:`DEEPEST` levels, numbers finite and below 2**63, no key twice.

    Raises:
        DfbenchError: of the class ``error``; it cannot be read or is not such JSON.
    """
    return _parsed(path, "JSON", lambda text: json.loads(text, object_pairs_hook=_unique), hint, error)


def read_toml(path: Path, hint: str = "", error: type[DfbenchError] = DataError) -> dict[str, Any]:
    """Read a TOML file whose content is not trusted; see :func:`read_json`.

    Raises:
        DfbenchError: of the class ``error``; it cannot be read or is not such TOML.
    """
    found: dict[str, Any] = _parsed(path, "TOML", tomllib.loads, hint, error)
    return found


def _parsed(path: Path, kind: str, parse: Callable[[str], Any], hint: str, error: type[DfbenchError]) -> Any:
    try:
        with open_regular(path) as stream:
            data = read_at_most(stream, LARGEST_TEXT)
    except DataError as problem:
        raise error(problem.message, problem.hint) from problem
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}", hint) from problem
    if len(data) > LARGEST_TEXT:
        raise error(f"{path} is larger than {LARGEST_TEXT} bytes", hint)
    try:
        value = parse(data.decode(encoding_of(data)))
        _check_values(value)
    except RecursionError as problem:
        raise error(f"{path} is nested more than {DEEPEST} levels", hint) from problem
    except UnicodeDecodeError as problem:
        where = f"byte {problem.start}, line {data.count(10, 0, problem.start) + 1}"
        raise error(
            f"{path} is not valid {kind}: it is not text in UTF-8 ({where})", f"save it as UTF-8. {hint}"
        ) from problem
    except ValueError as problem:  # also whole numbers of thousands of digits
        raise error(f"{path} is not valid {kind}: {problem}", hint) from problem
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = repeated_key(pairs)
    if twice is not None:
        raise ValueError(f"the key {twice!r} occurs twice")
    return dict(pairs)


def _check_values(value: Any) -> None:
    waiting = [(value, 1)]
    while waiting:
        entry, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels")
        if isinstance(entry, float) and not math.isfinite(entry):
            raise ValueError("a number is not finite")
        if isinstance(entry, int) and abs(entry) >= 2**63:
            raise ValueError("a number is too large")
        if isinstance(entry, str) and not entry.isascii():
            entry.encode()  # UnicodeEncodeError, a ValueError, for half of a surrogate pair
        if isinstance(entry, dict):
            waiting += [(name, depth) for name in entry]
            waiting += [(inner, depth + 1) for inner in entry.values()]
        elif isinstance(entry, list):
            waiting += [(inner, depth + 1) for inner in entry]
