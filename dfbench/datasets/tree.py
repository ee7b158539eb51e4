"""Find folders by name, ignoring case and a level of nesting that unpacking may add."""

from __future__ import annotations

import errno
import logging
import os
from functools import lru_cache
from pathlib import Path

from dfbench.errors import DataError
from dfbench.text import one_line
from dfbench.untrusted import is_clutter

_logger = logging.getLogger("dfbench")


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the files and folders in a folder, sorted by name; an empty list if it is not a folder.

    What operating systems leave behind (``._x``, ``__MACOSX``, ``Thumbs.db``, ...) is left out. So are links that lead
    to themselves, named pipes, sockets and devices, with a warning.

    Raises:
        DataError: permission to read the folder is missing.
    """
    try:
        with os.scandir(folder) as listing:
            found = sorted((e for e in listing if not is_clutter(e.name)), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise DataError(
            f"no permission to read the folder {folder}", "change its permissions, or move it elsewhere"
        ) from error
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror}", _remedy(error)) from error
    return [entry for entry in found if _is_usable(entry)]


def _remedy(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "links in this path lead to each other in a circle: remove one of them"
    return "check the path and its disk"


def _is_usable(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_dir() or entry.is_file():
            return True
        kind = "a link that leads to nothing" if entry.is_symlink() else "a named pipe, a socket or a device"
        if entry.is_symlink() and not os.path.exists(entry.path):
            return True  # its target is missing now: listed, so that it is counted as a missing file
    except OSError as error:
        kind = "a link that leads back to itself" if error.errno == errno.ELOOP else f"not readable ({error.strerror})"
    _warn_skipped(entry.path, kind)
    return False


@lru_cache(maxsize=4096)
def _warn_skipped(path: str, kind: str) -> None:
    """Say once that an entry of a folder is skipped."""
    _logger.warning("%s is skipped: it is %s", one_line(path), kind)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders directly below."""
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def child(folder: Path, name: str) -> Path | None:
    """Return the folder ``name`` directly below, ignoring case (an exact match wins) and doubled nesting."""
    names = subfolders(folder)
    same = [n for n in names if n == name] or [n for n in names if n.casefold() == name.casefold()]
    if not same:
        return None
    found = folder / same[0]
    inner = [n for n in subfolders(found) if n.casefold() == name.casefold()]
    return found / inner[0] if inner else found


def descend(folder: Path, *names: str) -> Path | None:
    """Follow several names with :func:`child`; return None if one does not exist."""
    found: Path | None = folder
    for name in names:
        found = child(found, name) if found is not None else None
    return found


def locate(root: Path, marks: tuple[str, ...], title: str) -> Path | None:
    """Return the folder that contains one of the ``marks``: the root, a folder directly in it, or that folder doubled.

    Raises:
        DataError: several folders below the root qualify.
    """

    def marked(folder: Path) -> bool:
        return any(child(folder, mark) is not None for mark in marks)

    if marked(root):
        return root
    found = []
    for name in subfolders(root):
        below = root / name
        doubled = child(below, name)
        found += [folder for folder in (below, doubled) if folder is not None and marked(folder)][:1]
    if len(found) > 1:
        raise DataError(
            f"several folders below {root} look like {title}: {', '.join(p.name for p in found)}",
            "give one of them as the root",
        )
    return found[0] if found else None


def leads_in_circle(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link to a folder from which, over folders and links, its own folder is reached again.

    Such a link adds nothing that is not found without it; following it would not end.
    """
    if not entry.is_symlink():
        return False
    home, target = os.path.realpath(os.path.dirname(entry.path)), os.path.realpath(entry.path)
    circle = _is_below(home, target) or _reaches(target, home)
    if circle:
        _warn_skipped(entry.path, f"a link to {one_line(target)}, from where links lead back to it")
    return circle


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _reaches(start: str, wanted: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listing:
                folders = [entry.path for entry in listing if _is_folder(entry)]
        except OSError:
            continue
        for path in map(os.path.realpath, folders):
            if _is_below(wanted, path):
                return True
            if path not in seen:
                seen.add(path)
                waiting.append(path)
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
