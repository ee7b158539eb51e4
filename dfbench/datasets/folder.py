"""User-defined data sets: any tree with folders ``real`` and ``fake``, or any tree with a CSV file of labels.

Without a CSV file: the first folder below ``fake`` is the manipulation; a folder ``train``, ``val`` or ``test`` above
or directly below ``real`` and ``fake`` is the split, which defaults to ``test``; images are still images, unless their
path contains a folder ``frames`` or ``sequences``: below it, every folder of images is one clip. With ``media.csv``
(or ``labels.csv``) at the top level, only its rows are used; a row may name a folder of images, which is one clip.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import NOT_LISTED, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import normal, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, is_image, join, may_be_media, split_of, stem, walk
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import child, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Kind, Media, Split
from dfbench.untrusted import is_relative

CSV_NAMES = ("media.csv", "labels.csv")
SEQUENCES = frozenset({"frames", "sequences"})
COLUMNS = ("path", "label", "split", "group", "manipulation")
NO_MEDIA = "not the name of a clip or image"
NO_LABEL = "neither below real/ nor below fake/"
_LABELS = {"real": REAL, "fake": FAKE}
_MANY_FRAMES = 20


@dataclass(frozen=True)
class FolderLabels:
    """Label, split and manipulation according to the folders of a file or sequence; None if unknown."""

    label: int | None
    split: Split | None
    manipulation: str | None


@dataclass(frozen=True)
class MediaFile:
    """A file, or a folder of images."""

    path: str
    kind: Kind


def parse_folders(path: str, where: str = "") -> FolderLabels:
    """Parse label, split and manipulation from the folders of a path.

    Raises:
        DataError: the path contains both folders ``real`` and ``fake``.

    >>> parse_folders("train/fake/Deepfakes/a.mp4")
    FolderLabels(label=1, split='train', manipulation='Deepfakes')
    """
    folders = path.split("/")[:-1]
    words = [folder.casefold() for folder in folders]
    if "real" in words and "fake" in words:
        raise DataError(f"{where or path} is below both real/ and fake/", "move the file to one of them")
    at = next((n for n, word in enumerate(words) if word in _LABELS), None)
    if at is None:
        return FolderLabels(None, next((cast(Split, s) for s in map(split_of, folders) if s), None), None)
    rest = folders[at + 1 :]
    split = next((s for s in map(split_of, (*folders[:at], *rest[:1])) if s), None)
    rest = rest[1:] if rest and split_of(rest[0]) else rest
    method = rest[0] if rest and rest[0].casefold() not in SEQUENCES and words[at] == "fake" else None
    return FolderLabels(_LABELS[words[at]], cast("Split | None", split), method)


class Folder(DataSetAdapter):
    """Adapter for user-defined data sets of clips and images."""

    def read(self, root: Path) -> Findings:
        """Read the tree from its CSV file, or from the names of its folders."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        files = [f for name in CSV_NAMES if (f := find_file(tree, name)) is not None]
        if len(files) > 1:
            raise DataError(f"{tree} has both {files[0].name} and {files[1].name}", "keep one of them")
        if files:
            self._read_list(findings, files[0])
        else:
            self._read_folders(findings)
        return findings

    def _read_folders(self, findings: Findings) -> None:
        numbered: dict[str, int] = {}
        for item in _items(findings, ""):
            folders = parse_folders(item.path, str(findings.tree / item.path))
            if folders.label is None:
                findings.exclude(NO_LABEL, item.path)
                continue
            findings.add(self._media(item, folders.label, folders.split or "test", folders.manipulation, None))
            if item.kind == "image" and stem(os.path.basename(item.path)).isdigit():
                folder = os.path.dirname(item.path)
                numbered[folder] = numbered.get(folder, 0) + 1
        suspect = sorted(folder for folder, number in numbered.items() if number >= _MANY_FRAMES)
        if len(suspect) > 1:
            findings.warn(
                f"numbered images were read as still images: {some(suspect)}; if they are the frames of clips, "
                "put the folders below a folder frames/, or list the folders in media.csv, so that each is one clip"
            )

    def _read_list(self, findings: Findings, file: Path) -> None:
        items = {normal(item.path): item for item in _items(findings, file.name)}
        folders: dict[str, list[str]] = {}
        for path, found in items.items():
            if found.kind == "image":
                folders.setdefault(os.path.dirname(path), []).append(path)
        splits: dict[str, tuple[str, int]] = {}
        lines: dict[str, int] = {}
        used: set[str] = set()
        absent: list[str] = []
        unknown: set[str] = set()
        for line, row in csv_rows(file, ("path", "label")):
            where = f"{file}, line {line}"
            unknown |= set(row) - set(COLUMNS)
            path = posix(row["path"])
            if not is_relative(path):
                raise DataError(f"{where}: {row['path']!r} is not a path below {findings.tree}", "give relative paths")
            if path in lines:
                raise DataError(f"{where}: {path} is a duplicate of line {lines[path]}")
            lines[path] = line
            item = items.get(path) or (MediaFile(path, "sequence") if path in folders else None)
            media = self._listed(row, item or MediaFile(path, "clip"), where)
            other, first_line = splits.setdefault(media.scene_group, (media.split, line))
            if other != media.split:
                raise DataError(
                    f"{where}: group {row.get('group')!r} is {media.split}, but {other} in line {first_line}",
                    "a group must be in one split",
                )
            findings.expect(("all", media.split, "fake" if media.label == FAKE else "real", media.manipulation), 1)
            if item is None:
                absent.append(path)
            elif findings.add(media):
                used.update(folders.get(path, ()) if path not in items else (path,))
        for path in items:
            if path not in used:
                findings.exclude(NOT_LISTED, path)
        if absent:
            findings.warn(f"{len(absent)} paths of {file.name} were not found: {some(absent)}")
        if unknown:
            findings.warn(f"unknown columns of {file.name} were ignored: {', '.join(sorted(unknown))}")

    def _listed(self, row: Mapping[str, str], item: MediaFile, where: str) -> Media:
        label = read_label(row["label"], where)
        folders = parse_folders(f"{item.path}/" if item.kind == "sequence" else item.path, where)
        if folders.label is not None and folders.label != label:
            raise DataError(
                f"{where}: {item.path} is labelled {row['label']!r}, which contradicts its folder",
                "0 is real and 1 is fake",
            )
        split = split_of(row["split"]) if row.get("split") else (folders.split or "test")
        if split is None:
            raise DataError(f"{where}: not a split: {row['split']!r}", "splits are train, val and test")
        manipulation = row.get("manipulation") or folders.manipulation
        if manipulation and ("/" in manipulation or "\\" in manipulation or "#" in manipulation):
            raise DataError(
                f"{where}: not a manipulation: {manipulation!r}", "names must not contain slashes, backslashes or '#'"
            )
        if manipulation and (manipulation == "real") != (label == REAL) and row.get("manipulation"):
            raise DataError(f"{where}: manipulation {manipulation!r} contradicts label {row['label']!r}")
        return self._media(item, label, cast(Split, split), manipulation, row.get("group") or None)

    def _media(self, item: MediaFile, label: int, split: Split, manipulation: str | None, group: str | None) -> Media:
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


def _items(findings: Findings, csv_name: str) -> list[MediaFile]:
    """Return all files that may be media, and the folders of images below ``frames`` or ``sequences``."""
    out: list[MediaFile] = []
    for where, files in walk(findings.tree):
        sequence = not SEQUENCES.isdisjoint(where.casefold().split("/"))
        images = False
        for entry in files:
            path = join(where, entry.name)
            if not may_be_media(entry.name):
                if where or entry.name != csv_name:
                    findings.exclude(NO_MEDIA, path)
            elif is_image(entry.name) and sequence and not csv_name:
                images = True
            else:
                out.append(MediaFile(path, "image" if is_image(entry.name) else "clip"))
        if images:
            out.append(MediaFile(where, "sequence"))
    return out


def _is_tree(folder: Path) -> bool:
    if find_file(folder, *CSV_NAMES) is not None:
        return True
    parents = [folder, *(folder / name for name in subfolders(folder) if split_of(name))]
    return any(child(parent, label) is not None for parent in parents for label in _LABELS)


FOLDER = Folder(
    name="folder",
    title="user-defined data set",
    licence="user-defined data set: observe the terms of its sources",
    access="your clips or images in folders real/ and fake/, or listed in media.csv",
    citation="none",
    layout=(
        "the layout is real/*.mp4 and fake/METHOD/*.mp4 (images as well; train/, val/, test/ above or below), "
        "or media.csv with path,label and optionally split,group,manipulation"
    ),
)
