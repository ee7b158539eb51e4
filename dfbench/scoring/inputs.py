"""From what a user typed, files, folders and patterns, to the files that are to be scored."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.layout import may_be_media, walk
from dfbench.errors import DataError, UsageError
from dfbench.media.images import MAGIC_BYTES, image_format


@dataclass(frozen=True)
class Inputs:
    """The files to score.

    Attributes:
        files: in the order in which they were named, those of a folder by name; each once.
        passed_over: files of the folders that are no media by their names.
    """

    files: tuple[Path, ...]
    passed_over: tuple[Path, ...]


def find_files(words: Sequence[str | Path]) -> Inputs:
    """Expand files, folders (with all below them) and patterns (``*``, ``?``, ``[...]``, ``**``).

    A file that is named itself is always taken; what it is, its content says. Of folders, hidden files and those with
    the extension of another kind of file (``.txt``, ``.csv``, ...) are passed over.

    Raises:
        UsageError: nothing is named.
        DataError: a name leads to nothing, or to no file that may be a clip or an image.
    """
    if not words:
        raise UsageError("no file to score", "name files, folders or patterns: dfbench score clip.mp4 --model M")
    files: dict[str, Path] = {}
    passed_over: list[Path] = []
    for word in words:
        found = 0
        for place in _places(word):
            for path, named in _below(place):
                if named or may_be_media(path.name):
                    files.setdefault(os.path.realpath(path), path)
                    found += 1
                else:
                    passed_over.append(path)
        if not found:
            raise DataError(f"there is no clip or image in {word}", "name a folder that holds some, or files")
    return Inputs(tuple(files.values()), tuple(passed_over))


def is_picture(path: Path) -> bool:
    """Whether a file is a still picture, by its first bytes; False for one that can not be read."""
    try:
        with path.open("rb") as file:
            return image_format(file.read(MAGIC_BYTES)) is not None
    except OSError:
        return False


def label_of(path: Path) -> str:
    """The path as text that can be printed and written anywhere, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _places(word: str | Path) -> list[Path]:
    path = Path(word).expanduser()
    if path.exists():
        return [path]
    if isinstance(word, str) and glob.has_magic(word):
        return [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    near = difflib.get_close_matches(path.name, _names(path.parent), n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "check the path, and that the disk is mounted"
    raise DataError(f"there is no file or folder {path}", hint)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _below(place: Path) -> Iterator[tuple[Path, bool]]:
    """Files at a place, and whether each was named itself."""
    if not place.is_dir():
        yield place, True
        return
    for where, entries in walk(place):
        yield from ((place / where / entry.name, False) for entry in entries)
