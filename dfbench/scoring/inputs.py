"""Expand files, folders and patterns to the files to score."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.layout import may_be_media, walk
from dfbench.errors import DataError, UsageError
from dfbench.media.reader import is_still


@dataclass(frozen=True)
class InputFiles:
    """The files to score.

    Attributes:
        files: in the order given, those of a folder sorted by name, without duplicates.
        skipped: files in folders that are not media according to their names.
    """

    files: tuple[Path, ...]
    skipped: tuple[Path, ...]


def find_files(words: Sequence[str | Path]) -> InputFiles:
    """Expand files, folders (with all below them) and patterns (``*``, ``?``, ``[...]``, ``**``).

    A file given by its name is always included; its content decides what it is. In folders, hidden files and files with
    the extension of another type (``.txt``, ``.csv``, ...) are skipped.

    Raises:
        UsageError: no file is given.
        DataError: a name matches nothing, or no file that may be a clip or an image.
    """
    if not words:
        raise UsageError("no file to score", "give files, folders or patterns: dfbench score clip.mp4 --model M")
    files: dict[str, Path] = {}
    skipped: list[Path] = []
    for word in words:
        found = 0
        for start in _expand(word):
            for path, named in _files_below(start):
                if named or may_be_media(path.name):
                    files.setdefault(os.path.realpath(path), path)
                    found += 1
                else:
                    skipped.append(path)
        if not found:
            raise DataError(f"no clip or image in {word}", "give a folder with clips or images, or their files")
    return InputFiles(tuple(files.values()), tuple(skipped))


def is_image_file(path: Path) -> bool:
    """Whether a file is a still image, according to its content; False if it cannot be read."""
    return is_still(path)


def _expand(word: str | Path) -> list[Path]:
    path = Path(word).expanduser()
    if path.exists():
        return [path]
    if isinstance(word, str) and glob.has_magic(word):
        return [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    near = difflib.get_close_matches(path.name, _names(path.parent), n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "check the path, and whether the disk is mounted"
    raise DataError(f"no such file or folder: {path}", hint)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _files_below(start: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the files of a path, and whether each was given by its name."""
    if not start.is_dir():
        yield start, True
        return
    for where, entries in walk(start):
        yield from ((start / where / entry.name, False) for entry in entries)
