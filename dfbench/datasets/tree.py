"""Find folders by name, ignoring case and a level of nesting that unpacking may add."""

from __future__ import annotations

import os
from pathlib import Path

from dfbench.errors import DataError


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder sorted by name; an empty list if it is not a folder.

    Raises:
        DataError: permission to read the folder is missing.
    """
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise DataError(
            f"no permission to read the folder {folder}", "change its permissions, or move it elsewhere"
        ) from error


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
