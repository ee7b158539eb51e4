"""Look around in folders, forgiving the case of names and a level of nesting that unpacking may add."""

from __future__ import annotations

import os
from pathlib import Path

from dfbench.errors import DataError


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder sorted by name; none if it is not a folder.

    Raises:
        DataError: the folder may not be read.
    """
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise DataError(f"the folder may not be read: {folder}", "change its permissions, or leave it out") from error


def subfolders(folder: Path) -> list[str]:
    """Names of the folders directly below."""
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def child(folder: Path, name: str) -> Path | None:
    """The folder ``name`` directly below, its case forgiven (an exact match wins), doubled nesting skipped."""
    names = subfolders(folder)
    same = [n for n in names if n == name] or [n for n in names if n.casefold() == name.casefold()]
    if not same:
        return None
    found = folder / same[0]
    inner = [n for n in subfolders(found) if n.casefold() == name.casefold()]
    return found / inner[0] if inner else found


def descend(folder: Path, *names: str) -> Path | None:
    """Follow several names with :func:`child`; None where one is not there."""
    place: Path | None = folder
    for name in names:
        place = child(place, name) if place is not None else None
    return place


def locate(root: Path, marks: tuple[str, ...], title: str) -> Path | None:
    """The folder that holds one of the ``marks``: the root, a folder directly in it, or that folder doubled.

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
        found += [place for place in (below, doubled) if place is not None and marked(place)][:1]
    if len(found) > 1:
        raise DataError(
            f"several folders below {root} look like {title}: {', '.join(p.name for p in found)}",
            "give one of them as the root",
        )
    return found[0] if found else None
