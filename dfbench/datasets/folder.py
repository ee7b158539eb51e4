"""Any tree with folders ``real`` and ``fake``, or any tree with a CSV file that says what is what.

Without a CSV file: the first folder below ``fake`` is the manipulation; a folder ``train``, ``val`` or ``test`` above
or directly below ``real`` and ``fake`` is the split, else all is ``test``; images are stills, unless a folder
``frames`` or ``sequences`` stands in their path: there, every folder of images is one clip. With ``media.csv``
(or ``labels.csv``) at the top, its rows alone are used; a row may name a folder of images, which is one clip.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import NOT_LISTED, DataSet, Finds, some
from dfbench.datasets.label_lists import csv_rows, is_inside, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, is_image, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import child, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Kind, Media, Split

CSV_NAMES = ("media.csv", "labels.csv")
SEQUENCES = frozenset({"frames", "sequences"})
COLUMNS = ("path", "label", "split", "group", "manipulation")
NO_MEDIA = "not a clip or an image by its name"
NO_LABEL = "neither below real/ nor below fake/"
_LABELS = {"real": REAL, "fake": FAKE}
_MANY_FRAMES = 20


@dataclass(frozen=True)
class Place:
    """What the folders of a file or sequence say; None where they are silent."""

    label: int | None
    split: Split | None
    manipulation: str | None


@dataclass(frozen=True)
class Item:
    """A file, or a folder of images."""

    path: str
    kind: Kind


def read_place(path: str, where: str = "") -> Place:
    """Label, split and manipulation from the folders of a path.

    Raises:
        DataError: folders ``real`` and ``fake`` both stand in it.

    >>> read_place("train/fake/Deepfakes/a.mp4")
    Place(label=1, split='train', manipulation='Deepfakes')
    """
    folders = path.split("/")[:-1]
    words = [folder.casefold() for folder in folders]
    if "real" in words and "fake" in words:
        raise DataError(f"{where or path} lies below real/ and below fake/", "a file is one or the other; move it")
    at = next((n for n, word in enumerate(words) if word in _LABELS), None)
    if at is None:
        return Place(None, next((cast(Split, s) for s in map(split_of, folders) if s), None), None)
    rest = folders[at + 1 :]
    split = next((s for s in map(split_of, (*folders[:at], *rest[:1])) if s), None)
    rest = rest[1:] if rest and split_of(rest[0]) else rest
    method = rest[0] if rest and rest[0].casefold() not in SEQUENCES and words[at] == "fake" else None
    return Place(_LABELS[words[at]], cast("Split | None", split), method)


class Folder(DataSet):
    """Adapter for a user's own clips and images."""

    def read(self, root: Path) -> Finds:
        """Read the tree by its CSV file, or by the names of its folders."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        files = [f for name in CSV_NAMES if (f := find_file(tree, name)) is not None]
        if len(files) > 1:
            raise DataError(f"{tree} has both {files[0].name} and {files[1].name}", "keep one of them")
        if files:
            self._read_list(finds, files[0])
        else:
            self._read_folders(finds)
        return finds

    def _read_folders(self, finds: Finds) -> None:
        numbered: dict[str, int] = {}
        for item in _items(finds, ""):
            place = read_place(item.path, str(finds.tree / item.path))
            if place.label is None:
                finds.leave_out(NO_LABEL, item.path)
                continue
            finds.add(self._media(item, place.label, place.split or "test", place.manipulation, None))
            if item.kind == "image" and stem(os.path.basename(item.path)).isdigit():
                folder = os.path.dirname(item.path)
                numbered[folder] = numbered.get(folder, 0) + 1
        folders = sorted(folder for folder, number in numbered.items() if number >= _MANY_FRAMES)
        if len(folders) > 1:
            finds.warn(
                f"folders of numbered images were read as stills: {some(folders)}; if they are the frames of clips, "
                "put them below a folder frames/, or list the folders in media.csv, so that each is one clip"
            )

    def _read_list(self, finds: Finds, file: Path) -> None:
        items = {item.path: item for item in _items(finds, file.name)}
        folders: dict[str, list[str]] = {}
        for path, found in items.items():
            if found.kind == "image":
                folders.setdefault(os.path.dirname(path), []).append(path)
        splits: dict[str, tuple[str, int]] = {}
        lines: dict[str, int] = {}
        used: set[str] = set()
        absent: list[str] = []
        strange: set[str] = set()
        for line, row in csv_rows(file, ("path", "label")):
            where = f"{file}, line {line}"
            strange |= set(row) - set(COLUMNS)
            path = posix(row["path"])
            if not is_inside(path):
                raise DataError(f"{where}: {row['path']!r} is not a path below {finds.tree}", "give relative paths")
            if path in lines:
                raise DataError(f"{where}: {path} stands in line {lines[path]} already")
            lines[path] = line
            item = items.get(path) or (Item(path, "sequence") if path in folders else None)
            media = self._listed(row, item or Item(path, "clip"), where)
            before = splits.setdefault(media.scene_group, (media.split, line))
            if before[0] != media.split:
                raise DataError(
                    f"{where}: group {row.get('group')!r} is {media.split}, but {before[0]} in line {before[1]}",
                    "a group must not stand in two splits",
                )
            finds.expect(("all", media.split, "fake" if media.label == FAKE else "real", media.manipulation), 1)
            if item is None:
                absent.append(path)
            elif finds.add(media):
                used.update(folders.get(path, ()) if path not in items else (path,))
        for path in items:
            if path not in used:
                finds.leave_out(NOT_LISTED, path)
        if absent:
            finds.warn(f"{len(absent)} paths of {file.name} are not there: {some(absent)}")
        if strange:
            finds.warn(f"columns of {file.name} that mean nothing here: {', '.join(sorted(strange))}")

    def _listed(self, row: Mapping[str, str], item: Item, where: str) -> Media:
        label = read_label(row["label"], where)
        place = read_place(f"{item.path}/" if item.kind == "sequence" else item.path, where)
        if place.label is not None and place.label != label:
            raise DataError(
                f"{where}: {item.path} is called {row['label']!r}, but its folder says the other",
                "here 0 is real and 1 is fake",
            )
        split = split_of(row["split"]) if row.get("split") else (place.split or "test")
        if split is None:
            raise DataError(f"{where}: not a split: {row['split']!r}", "splits are train, val and test")
        manipulation = row.get("manipulation") or place.manipulation
        if manipulation and ("/" in manipulation or "\\" in manipulation or "#" in manipulation):
            raise DataError(f"{where}: not a manipulation: {manipulation!r}", "no slashes and no '#'")
        if manipulation and (manipulation == "real") != (label == REAL) and row.get("manipulation"):
            raise DataError(f"{where}: manipulation {manipulation!r} contradicts label {row['label']!r}")
        return self._media(item, label, cast(Split, split), manipulation, row.get("group") or None)

    def _media(self, item: Item, label: int, split: Split, manipulation: str | None, group: str | None) -> Media:
        name = item.path if item.kind == "sequence" else stem(item.path)
        method = (manipulation or "fake") if label == FAKE else "real"
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=method,
            name=name,
            label=label,
            split=split,
            scene_group=f"{self.name}/group/{group}" if group else f"{self.name}/media/{method}/{name}",
            path=item.path,
            kind=item.kind,
        )


def _items(finds: Finds, csv_name: str) -> list[Item]:
    """All files that may be media, and the folders of images below ``frames`` or ``sequences``."""
    out: list[Item] = []
    for where, files in walk(finds.tree):
        sequence = not SEQUENCES.isdisjoint(where.casefold().split("/"))
        images = False
        for entry in files:
            path = join(where, entry.name)
            if not may_be_media(entry.name):
                if where or entry.name != csv_name:
                    finds.leave_out(NO_MEDIA, path)
            elif is_image(entry.name) and sequence and not csv_name:
                images = True
            else:
                out.append(Item(path, "image" if is_image(entry.name) else "clip"))
        if images:
            out.append(Item(where, "sequence"))
    return out


def _is_tree(folder: Path) -> bool:
    if find_file(folder, *CSV_NAMES) is not None:
        return True
    places = [folder, *(folder / name for name in subfolders(folder) if split_of(name))]
    return any(child(place, label) is not None for place in places for label in _LABELS)


FOLDER = Folder(
    name="folder",
    title="own clips and images",
    licence="the user's own data: their terms are yours to keep",
    access="your own clips or images in folders real/ and fake/, or listed in media.csv",
    citation="none",
    layout=(
        "the layout is real/*.mp4 and fake/METHOD/*.mp4 (images as well; train/, val/, test/ above or below), "
        "or media.csv with path,label and optionally split,group,manipulation"
    ),
)
