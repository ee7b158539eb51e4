"""User-defined data sets: any tree with folders of real and fake media, or any tree with a CSV file of labels.

Without a CSV file: the label is the folder ``real`` or ``fake`` in one of its spellings; the first folder below that of
the fakes is the manipulation; a folder ``train``, ``val`` or ``test`` above or directly below is the split, which
defaults to ``test``; images are still images, unless their path contains a folder ``frames`` or ``sequences``: below
it, every folder of images is one clip. With ``media.csv`` (or ``labels.csv``) at the top level, only its rows are used;
a row may name a folder of images, which is one clip.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfbench.datasets.adapter import label_name
from dfbench.datasets.base import NOT_LISTED, UNLABELLED, DataSetAdapter, Findings, some
from dfbench.datasets.folder_labels import EXACT, SEQUENCES, SPELLINGS, label_of, parse_folders
from dfbench.datasets.folder_list import COLUMNS, ListedMedium, read_list
from dfbench.datasets.label_lists import normal
from dfbench.datasets.layout import find_file, find_tree, is_image, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Kind, Media, Split

CSV_NAMES = ("media.csv", "labels.csv")
NO_MEDIA = "not the name of a clip or image"
NO_LABEL = "neither below real/ nor below fake/"
_MANY_FRAMES = 20
_DEPTH, _MOST_FOLDERS = 3, 5000  # how far labels in other spellings are searched for


@dataclass(frozen=True)
class MediaFile:
    """A file, or a folder of images."""

    path: str
    kind: Kind


class Folder(DataSetAdapter):
    """Adapter for user-defined data sets of clips and images."""

    def read(self, root: Path) -> Findings:
        """Read the tree from its CSV file, or from the names of its folders."""
        tree = find_tree(root, _is_tree, self.title)
        nested = tree is None
        if tree is None:
            tree = _tree_of_spellings(root)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        files = [f for name in CSV_NAMES if (f := find_file(tree, name)) is not None]
        if len(files) > 1:
            raise DataError(f"{tree} has both {files[0].name} and {files[1].name}", "keep one of them")
        if files:
            self._read_list(findings, files[0])
        else:
            self._read_folders(findings, nested)
        return findings

    def _read_folders(self, findings: Findings, nested: bool) -> None:
        numbered: dict[str, int] = {}
        spelled: dict[str, int] = {}
        for item in _items(findings, ""):
            folders = parse_folders(item.path, str(findings.tree / item.path))
            if folders.label is None:
                findings.exclude(NO_LABEL, item.path)
                continue
            method = folders.manipulation or (_folder_above(item.path) if nested else None)
            findings.add(self._media(item, folders.label, folders.split or "test", method, None))
            names = [name for name in item.path.split("/")[:-1] if label_of(name) is not None]
            if all(label_of(name) != (folders.label, EXACT) for name in names):
                spelled.update(dict.fromkeys(names[:1], folders.label))
            if item.kind == "image" and stem(os.path.basename(item.path)).isdigit():
                folder = os.path.dirname(item.path)
                numbered[folder] = numbered.get(folder, 0) + 1
        suspect = sorted(folder for folder, number in numbered.items() if number >= _MANY_FRAMES)
        if len(suspect) > 1:
            findings.warn(
                f"numbered images were read as still images: {some(suspect)}; if they are the frames of clips, "
                "put the folders below a folder frames/, or list the folders in media.csv, so that each is one clip"
            )
        if spelled:
            words = [f"{name} is {label_name(label)}" for name, label in sorted(spelled.items())]
            findings.warn(f"{SPELLINGS}: {some(words, 6)}")

    def _read_list(self, findings: Findings, file: Path) -> None:
        items = {normal(item.path): item for item in _items(findings, file.name)}
        folders: dict[str, list[str]] = {}
        for path, item in items.items():
            if item.kind == "image" and "/" in path:
                folders.setdefault(os.path.dirname(path), []).append(path)
        sequences = {
            folder: MediaFile(os.path.dirname(items[images[0]].path), "sequence") for folder, images in folders.items()
        }
        found = sequences | items
        rows = read_list(findings, file, {path: item.kind for path, item in found.items()})
        media = {path: self._listed(row, found.get(path) or MediaFile(path, "clip")) for path, row in rows.items()}
        used: set[str] = set()
        lost: list[str] = []
        for path, row in rows.items():
            medium = media[path]
            used.update(folders[path] if path in folders and path not in items else (path,))
            if medium is None:
                findings.exclude(UNLABELLED, path)
                continue
            medium = self._with_source_and_mask(medium, row, media, items)
            used.update({row.mask} if row.mask else ())
            if row.mask and medium.mask_path is None:
                lost.append(row.mask)
            base = media[row.base] if row.base is not None else None
            if base is not None:
                group = medium.scene_group if row.group else base.scene_group
                medium = replace(medium, base_media_id=base.media_id, scene_group=group)
            findings.expect(("all", medium.split, label_name(medium.label), medium.manipulation), 1)
            if path in found:
                findings.add(medium)
        for path, item in items.items():
            if path not in used:
                findings.exclude(NOT_LISTED, item.path)
        if lost:
            findings.warn(f"{len(lost)} masks of {file.name} were not found: {some(lost)}")
        if unlabelled := [path for path, medium in media.items() if medium is None]:
            findings.warn(f"{len(unlabelled)} rows of {file.name} have no label and are not used: {some(unlabelled)}")

    def _with_source_and_mask(
        self, medium: Media, row: ListedMedium, media: Mapping[str, Media | None], items: Mapping[str, MediaFile]
    ) -> Media:
        source = media[row.source] if row.source else None
        mask = items.get(row.mask) if row.mask else None
        return replace(
            medium,
            source_media_id=source.media_id if source else None,
            mask_path=mask.path if mask else None,
        )

    def _listed(self, row: ListedMedium, item: MediaFile) -> Media | None:
        if row.label is None:
            return None
        media = self._media(item, row.label, row.split, row.manipulation, row.group)
        return replace(media, identity_target=row.identity_target, identity_source=row.identity_source)

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
    names = subfolders(folder)
    inner = [name for part in names if split_of(part) for name in subfolders(folder / part)]
    return any(label_of(name) in ((REAL, EXACT), (FAKE, EXACT)) for name in (*names, *inner))


def _tree_of_spellings(root: Path) -> Path | None:
    """Return the folder that holds all folders named after a label, at most three levels above them; None without any.

    Trees of several generators have such folders in each: ``progan/0_real``, ``stylegan/cat/1_fake``.
    """
    while True:
        names = _readable(root)
        if any(label_of(name) or split_of(name) for name in names):
            return root if _has_labels(root, _DEPTH) else None
        inner = [root / name for name in names if _has_labels(root / name, _DEPTH - 1)]
        if len(inner) != 1:
            return root if inner else None
        root = inner[0]


def _readable(folder: Path) -> list[str]:
    """Return the subfolders; none of a folder that may not be read, which may be beside the data set."""
    try:
        return [name for name in subfolders(folder) if not name.startswith(".")]
    except DataError:
        return []


def _has_labels(folder: Path, depth: int) -> bool:
    level = [folder]
    for _ in range(depth):
        found = [where / name for where in level for name in _readable(where)]
        if any(label_of(path.name) is not None for path in found):
            return True
        level = found[:_MOST_FOLDERS]
    return False


def _folder_above(path: str) -> str | None:
    """Return the first folder above that of the label, except a split."""
    for folder in path.split("/")[:-1]:
        if label_of(folder) is not None:
            return None
        if not split_of(folder):
            return folder
    return None


FOLDER = Folder(
    name="folder",
    title="user-defined data set",
    licence="user-defined data set: observe the terms of its sources",
    access="your clips or images in folders real/ and fake/, or listed in media.csv",
    citation="none",
    layout=(
        "the layout is real/*.mp4 and fake/METHOD/*.mp4 (images as well; train/, val/, test/ above or below; also "
        "Reals, 0_real, original, ... and Fakes, 1_fake, manipulated, ...), or media.csv with path,label and "
        f"optionally {','.join(COLUMNS[2:])}"
    ),
)
