"""Find a data set's folder, walk through it, and distinguish media from other files by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from dfbench.datasets.tree import child, entries, leads_in_circle, subfolders
from dfbench.errors import DataError
from dfbench.untrusted import is_clutter

IMAGES = frozenset({"png", "jpg", "jpeg", "bmp", "webp", "tif", "tiff", "ppm", "gif"})
CLIPS = ("mp4", "avi", "mov", "mkv", "webm", "mpg", "mpeg", "m4v", "ts", "flv", "wmv")
# The content of a file decides its type; only files with these extensions are never opened. They are recorded.
_OTHERS = frozenset(
    "csv txt json jsonl md log xml yaml yml ini toml db npy npz pkl pickle h5 hdf5 mat pt pth dat lmdb mdb html htm "
    "pdf py sh zip tar gz tgz bz2 xz 7z rar wav mp3 aac part tmp crdownload sha256 md5 parquet".split()
)
_LISTS = frozenset("csv tsv txt json jsonl list lst xlsx zip tar gz tgz".split())
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})$")


def extension(file_name: str) -> str:
    """Return the extension in lower case without its dot; empty if there is none.

    >>> extension("a.MP4"), extension("README")
    ('mp4', '')
    """
    match = _EXTENSION.search(file_name)
    return match[1].lower() if match else ""


def stem(file_name: str) -> str:
    """Return the name without its extension.

    >>> stem("01_02__walk__YVGY8LOK.mp4")
    '01_02__walk__YVGY8LOK'
    """
    return _EXTENSION.sub("", file_name)


def is_image(file_name: str) -> bool:
    """Whether a name is that of an image."""
    return extension(file_name) in IMAGES


def may_be_media(file_name: str) -> bool:
    """Whether a name may be that of a clip or an image: all except hidden files and known other types."""
    return not file_name.startswith(".") and not is_clutter(file_name) and extension(file_name) not in _OTHERS


def is_read_for_listing(file_name: str) -> bool:
    """Whether adapters may open a file of this name to list a data set: label files and archives.

    >>> is_read_for_listing("metadata.json"), is_read_for_listing("0.tar.gz"), is_read_for_listing("000.mp4")
    (True, True, False)
    """
    return not is_clutter(file_name) and extension(file_name) in _LISTS


def clips_first(listing: list[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    """Return entries sorted by name without extension; clips come first among those that share it."""

    def rank(entry: os.DirEntry[str]) -> tuple[str, int, str]:
        kind = extension(entry.name)
        return stem(entry.name), CLIPS.index(kind) if kind in CLIPS else len(CLIPS), entry.name

    return sorted(listing, key=rank)


def find_tree(root: Path, marked: Callable[[Path], bool], title: str, depth: int = 2) -> Path | None:
    """Return the nearest folder for which ``marked`` holds: the root, or one at most ``depth`` levels below it.

    Raises:
        DataError: several folders of the same level qualify, or none does and some cannot be read.
    """
    level = [root]
    closed: list[DataError] = []  # unreadable folders beside a data set are ignored

    def tried(folder: Path) -> bool:
        try:
            return marked(folder)
        except DataError as error:
            if folder == root:
                raise
            closed.append(error)
            return False

    def below(folder: Path) -> list[Path]:
        try:
            return [folder / name for name in subfolders(folder) if not name.startswith(".")]
        except DataError:
            return []

    for _ in range(depth + 1):
        found = [folder for folder in level if tried(folder)]
        if len(found) > 1:
            names = ", ".join(folder.relative_to(root).as_posix() for folder in found)
            raise DataError(f"several folders below {root} look like {title}: {names}", "give one of them as the root")
        if found:
            return found[0]
        level = [inner for folder in level for inner in below(folder)]
    if closed:
        raise closed[0]
    return None


def with_videos(folder: Path) -> Path:
    """Return the folder ``videos`` directly below if it exists, else the folder itself."""
    return child(folder, "videos") or folder


def find_file(folder: Path, *names: str) -> Path | None:
    """Return the first of several files that exists directly in a folder, ignoring case."""
    by_name = {entry.name.casefold(): entry.name for entry in entries(folder) if entry.is_file()}
    return next((folder / by_name[n.casefold()] for n in names if n.casefold() in by_name), None)


def walk(folder: Path, where: str = "") -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield every folder from ``folder`` down as (POSIX path relative to it, its files), in sorted order.

    Links to folders are followed unless they lead back in a circle.

    Args:
        folder: where to start.
        where: prefix of the paths.
    """
    listing = entries(folder)
    yield where, [entry for entry in listing if not entry.is_dir()]
    for entry in listing:
        if entry.is_dir() and not entry.name.startswith(".") and not leads_in_circle(entry):
            yield from walk(Path(entry.path), f"{where}/{entry.name}" if where else entry.name)


def join(where: str, name: str) -> str:
    """Return ``where/name``; an empty part is omitted.

    >>> join("", "a"), join("a", "b"), join("a", "")
    ('a', 'a/b', 'a')
    """
    return f"{where}/{name}" if where and name else where or name


def split_of(folder_name: str) -> str | None:
    """Return the split that a folder's name denotes; None if it denotes none.

    >>> split_of("Training"), split_of("valid"), split_of("real")
    ('train', 'val', None)
    """
    return _SPLIT_NAMES.get(folder_name.casefold())


_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
