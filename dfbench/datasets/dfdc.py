"""The DeepFake Detection Challenge's full data set: 50 train parts, validation and test.

Labels: in ``metadata.json`` of a train part ``label`` is ``REAL`` or ``FAKE`` and ``original`` names the real clip
of a fake; ``metadata.json`` of the test part has ``is_fake`` 0 or 1; ``labels.csv`` has ``filename,label`` with 1 =
fake. The numbers of clips are those of the paper (Dolhansky et al. 2020) as quoted by others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dfbench.datasets.base import NOT_A_CLIP, NOT_LISTED, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import csv_rows, json_object, location_in, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, may_be_media, split_of, stem, with_videos
from dfbench.datasets.tree import entries, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

METHOD = "fake"
PARTS = 50
PUBLISHED = {"train": (19_154, 100_000), "val": (2_000, 2_000), "test": (2_500, 2_500)}
_PART = re.compile(r"^dfdc_train_part_0*(\d+)$", re.IGNORECASE)
NO_LABELS = "a folder without metadata.json or labels.csv"


@dataclass(frozen=True)
class ClipLabel:
    """The label files' entry of a clip.

    Attributes:
        label: 0 real, 1 fake.
        original: file name of the real clip that a fake was made from, if it is known.
    """

    label: int
    original: str | None = None


class DeepfakeDetectionChallenge(DataSetAdapter):
    """Adapter for the full DFDC; a scene group is an original and all fakes that name it as theirs."""

    def read(self, root: Path) -> Findings:
        """Read the train parts (below ``train/`` or the root itself), validation and test."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        labels: dict[str, tuple[int, str]] = {}
        parts = _parts(tree)
        for number in sorted(parts):
            for folder in parts[number]:
                self._folder(findings, folder, "train", labels)
        for name in subfolders(tree):
            split = split_of(name)
            if split in ("val", "test"):
                self._folder(findings, tree / name, split, labels)
            elif split is None and not _PART.match(name) and not name.startswith("."):
                findings.exclude("a folder that is not a part of the data set", name)
        for part_split, (real, fake) in PUBLISHED.items():
            findings.expect(("all", part_split, "real", "real"), real)
            findings.expect(("all", part_split, "fake", METHOD), fake)
        absent = [f"dfdc_train_part_{n}" for n in range(PARTS) if n not in parts]
        if parts and absent:
            findings.warn(f"{len(absent)} of {PARTS} train parts were not found: {some(absent)}")
        return findings

    def _folder(self, findings: Findings, folder: Path, split: str, labels: dict[str, tuple[int, str]]) -> None:
        location = _unnested(folder)
        listed = _read_labels(location)
        clips = with_videos(location)
        where = clips.relative_to(findings.tree).as_posix()
        left, number = dict(listed or {}), 0
        for entry in entries(clips):
            if entry.name in ("metadata.json", "labels.csv"):
                continue
            path = f"{where}/{entry.name}"
            clip = listed.get(entry.name) if listed else None
            if entry.is_dir() or (clip is None and not may_be_media(entry.name)):
                findings.exclude(NOT_A_CLIP, path)
            elif listed is None:
                findings.exclude(NO_LABELS, path)
                number += 1
            elif clip is None:
                findings.exclude(NOT_LISTED, path)
            else:
                left.pop(entry.name)
                _check_same_label(labels, entry.name, clip.label, path)
                findings.add(self._media(entry.name, clip, cast(Split, split), path))
        if listed is None:
            shown = folder.relative_to(findings.tree).as_posix()
            findings.warn(f"{shown} has neither metadata.json nor labels.csv: its {number} clips have no label")
        if left:
            shown = location.relative_to(findings.tree).as_posix()
            findings.warn(f"{len(left)} clips named in the label file of {shown} were not found: {some(sorted(left))}")

    def _media(self, file: str, clip: ClipLabel, split: Split, path: str) -> Media:
        name = stem(file)
        fake = clip.label == FAKE
        base = stem(clip.original) if fake and clip.original else None
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=METHOD if fake else "real",
            name=name,
            label=clip.label,
            split=split,
            scene_group=f"{self.name}/{split}/{base or name}",
            path=path,
            base_media_id=f"{self.name}/all/real/{base}" if base else None,
        )


def _is_tree(folder: Path) -> bool:
    names = subfolders(folder)
    if any(_PART.match(name) for name in names):
        return True
    for name in names:
        split = split_of(name)
        if split == "train" and any(_PART.match(part) for part in subfolders(folder / name)):
            return True
        if split in ("val", "test") and find_file(_unnested(folder / name), "metadata.json", "labels.csv"):
            return True
    return False


def _parts(tree: Path) -> dict[int, list[Path]]:
    folders = [tree, *(tree / name for name in subfolders(tree) if split_of(name) == "train")]
    parts: dict[int, list[Path]] = {}
    for folder in folders:
        for name in subfolders(folder):
            match = _PART.match(name)
            if match:
                parts.setdefault(int(match[1]), []).append(folder / name)
    return parts


def _unnested(folder: Path) -> Path:
    """Return the folder itself, or the one of the same name that unpacking put into it."""
    match = _PART.match(folder.name)
    for name in subfolders(folder):
        inner = _PART.match(name)
        same = int(inner[1]) == int(match[1]) if inner and match else name.casefold() == folder.name.casefold()
        if same:
            return folder / name
    return folder


def _read_labels(folder: Path) -> dict[str, ClipLabel] | None:
    metadata, listing = find_file(folder, "metadata.json"), find_file(folder, "labels.csv")
    if metadata is None and listing is None:
        return None
    from_csv = _read_csv(listing) if listing else {}
    if metadata is None:
        return {name: entry for name, (entry, _) in from_csv.items()}
    out = _read_metadata(metadata)
    for name, (entry, line) in from_csv.items():
        if name in out and out[name].label != entry.label:
            raise DataError(
                f"{listing}, line {line}: {name} is {_word(entry.label)}, but {_word(out[name].label)} in {metadata}",
                "use both files of the original download",
            )
    return {name: entry for name, (entry, _) in from_csv.items()} | out


def _read_metadata(file: Path) -> dict[str, ClipLabel]:
    out: dict[str, ClipLabel] = {}
    for key, fields in json_object(file).items():
        value = _label_field(fields)
        if value is None:
            raise DataError(f"{location_in(file, key)}: {key} has no label", 'the format is {"label": "FAKE", ...}')
        try:
            label = read_label(value, key)
        except DataError as error:
            raise DataError(f"{location_in(file, key)}: {error.message}", error.hint) from error
        original = fields.get("original")
        out[posix(key).rsplit("/", 1)[-1]] = ClipLabel(label, str(original) if original else None)
    return out


def _label_field(fields: Any) -> object:
    if not isinstance(fields, Mapping):
        return None
    return fields.get("label", fields.get("is_fake"))


def _read_csv(file: Path) -> dict[str, tuple[ClipLabel, int]]:
    out: dict[str, tuple[ClipLabel, int]] = {}
    for line, row in csv_rows(file, ("filename", "label")):
        name = posix(row["filename"]).rsplit("/", 1)[-1]
        label = read_label(row["label"], f"{file}, line {line}")
        if name in out and out[name][0].label != label:
            raise DataError(f"{file}, line {line}: {name} has another label in line {out[name][1]}")
        out[name] = ClipLabel(label), line
    return out


def _check_same_label(labels: dict[str, tuple[int, str]], name: str, label: int, path: str) -> None:
    other, where = labels.setdefault(name, (label, path))
    if other != label:
        raise DataError(
            f"{path} is {_word(label)}, but the clip of the same name {where} is {_word(other)}",
            "clips with the same name must be the same clip; check metadata.json of both folders",
        )


def _word(label: int) -> str:
    return "real" if label == REAL else "fake"


DFDC = DeepfakeDetectionChallenge(
    name="dfdc",
    title="DeepFake Detection Challenge",
    licence="DFDC Dataset License (research, no redistribution); the crops fall under the same terms",
    access="account and licence acceptance at https://ai.meta.com/datasets/dfdc, or the competition's page",
    citation="Dolhansky et al., The DeepFake Detection Challenge (DFDC) Dataset, arXiv 2006.07397, 2020",
    layout=(
        "the layout is train/dfdc_train_part_0/metadata.json with its clips beside it (train/ may be absent), "
        "validation/labels.csv, test/labels.csv or test/metadata.json"
    ),
    manipulations=(METHOD,),
)
