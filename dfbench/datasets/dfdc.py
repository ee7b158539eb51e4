"""The DeepFake Detection Challenge's full data set: 50 train parts, validation and test.

Labels: in ``metadata.json`` of a train part ``label`` is ``REAL`` or ``FAKE`` and ``original`` names the real clip
of a fake; ``metadata.json`` of the test part has ``is_fake`` 0 or 1; ``labels.csv`` has ``filename,label`` with 1 =
fake. The numbers of clips are those of the paper (Dolhansky et al. 2020) as quoted by others.
The competition's page distributed a sample in ``train_sample_videos``; a folder of any name counts as a train part if
its ``metadata.json`` labels clips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any, cast

from dfbench.datasets.base import NOT_A_CLIP, NOT_LISTED, UNLABELLED, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import given, json_object, location_in, normal, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, split_of, stem, with_videos
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import entries, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

METHOD = "fake"
PARTS = 50
PUBLISHED = {"train": (19_154, 100_000), "val": (2_000, 2_000), "test": (2_500, 2_500)}
_PART = re.compile(r"^dfdc_train_part_0*(\d+)$", re.IGNORECASE)
_SUFFIX = re.compile(r"_videos$", re.IGNORECASE)  # the competition's page names the folder test_videos
NO_LABELS = "a folder without metadata.json or labels.csv"


@dataclass(frozen=True)
class ClipLabel:
    """The label files' entry of a clip.

    Attributes:
        label: 0 real, 1 fake; None if the entry leaves it open.
        original: file name of the real clip that a fake was made from, if it is known.
    """

    label: int | None
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
        others = [name for name in subfolders(tree) if not _PART.match(name) and not name.startswith(".")]
        samples = [tree / name for name in others if not _split(name) and _is_part(tree / name)]
        if not parts and _is_part(tree):
            samples.append(tree)
        for folder in (*(folder for number in sorted(parts) for folder in parts[number]), *samples):
            self._folder(findings, folder, "train", labels)
        for name in others:
            split = _split(name)
            if split in ("val", "test"):
                self._folder(findings, tree / name, split, labels)
            elif split is None and tree / name not in samples:
                findings.exclude("a folder that is not a part of the data set", name)
        if samples and not parts:
            names = ", ".join(folder.name for folder in samples)
            findings.warn(f"{names} is a sample of the train part or one part of it: only its own clips are expected")
        for part_split, (real, fake) in PUBLISHED.items():
            if parts or not samples:
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
        where = clips.relative_to(findings.tree).as_posix().removeprefix(".")
        left, number = dict(listed or {}), 0
        for entry in entries(clips):
            if entry.name in ("metadata.json", "labels.csv"):
                continue
            path = join(where, entry.name)
            clip = listed.get(normal(entry.name)) if listed else None
            if entry.is_dir() or (clip is None and not may_be_media(entry.name)):
                findings.exclude(NOT_A_CLIP, path)
            elif listed is None:
                findings.exclude(NO_LABELS, path)
                number += 1
            elif clip is None:
                findings.exclude(NOT_LISTED, path)
            else:
                left.pop(normal(entry.name), None)
                if clip.label is None:
                    findings.exclude(UNLABELLED, path)
                    continue
                _check_same_label(labels, entry.name, clip.label, path)
                findings.add(self._media(entry.name, clip.label, clip.original, cast(Split, split), path))
        if listed is None:
            shown = folder.relative_to(findings.tree).as_posix()
            findings.warn(f"{shown} has neither metadata.json nor labels.csv: its {number} clips have no label")
        if left:
            shown = location.relative_to(findings.tree).as_posix()
            findings.warn(f"{len(left)} clips named in the label file of {shown} were not found: {some(sorted(left))}")

    def _media(self, file: str, label: int, original: str | None, split: Split, path: str) -> Media:
        name = stem(file)
        fake = label == FAKE
        base = stem(original) if fake and original else None
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=METHOD if fake else "real",
            name=name,
            label=label,
            split=split,
            scene_group=intern(f"{self.name}/{split}/{base or name}"),  # one string for all fakes of an original
            path=path,
            base_media_id=intern(f"{self.name}/all/real/{base}") if base else None,
        )


def _is_tree(folder: Path) -> bool:
    names = subfolders(folder)
    if any(_PART.match(name) for name in names):
        return True
    if _is_part(folder) or any(_is_part(folder / name) for name in names):
        return True
    for name in names:
        split = _split(name)
        if split == "train" and any(_PART.match(part) for part in subfolders(folder / name)):
            return True
        if split in ("val", "test") and find_file(_unnested(folder / name), "metadata.json", "labels.csv"):
            return True
    return False


def _split(name: str) -> str | None:
    return split_of(_SUFFIX.sub("", name))


def _is_part(folder: Path) -> bool:
    """Whether a folder has clips and a metadata.json with words as labels, as train parts have, whatever its name."""
    folder = _unnested(folder)
    file = find_file(folder, "metadata.json")
    if file is None or not any(e.is_file() and may_be_media(e.name) for e in entries(with_videos(folder))):
        return False
    try:
        values = [_label_field(fields) for fields in json_object(file).values()]
    except DataError:
        return False
    return any(str(value).casefold() in ("real", "fake") for value in values)


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
        if name in out and None not in (out[name].label, entry.label) and out[name].label != entry.label:
            raise DataError(
                f"{listing}, line {line}: {name} is {_word(entry.label)}, but {_word(out[name].label)} in {metadata}",
                "use both files of the original download",
            )
    return {name: entry for name, (entry, _) in from_csv.items()} | out


def _read_metadata(file: Path) -> dict[str, ClipLabel]:
    out: dict[str, ClipLabel] = {}
    for key, fields in json_object(file).items():
        if not isinstance(fields, Mapping) or not {"label", "is_fake"} & fields.keys():
            raise DataError(f"{location_in(file, key)}: {key} has no label", 'the format is {"label": "FAKE", ...}')
        value = _label_field(fields)
        try:
            label = None if value is None else read_label(value, key)
        except DataError as error:
            raise DataError(f"{location_in(file, key)}: {error.message}", error.hint) from error
        out[posix(key).rsplit("/", 1)[-1]] = ClipLabel(label, given(fields.get("original")))
    return out


def _label_field(fields: Any) -> object:
    """Return the value of the label; None if it is NaN or empty, as libraries write it for an absent one."""
    if not isinstance(fields, Mapping):
        return None
    return next((fields[key] for key in ("label", "is_fake") if given(fields.get(key)) is not None), None)


def _read_csv(file: Path) -> dict[str, tuple[ClipLabel, int]]:
    out: dict[str, tuple[ClipLabel, int]] = {}
    for line, row in csv_rows(file, ("filename", "label")):
        name = posix(row["filename"]).rsplit("/", 1)[-1]
        label = None if given(row["label"]) is None else read_label(row["label"], f"{file}, line {line}")
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


def _word(label: int | None) -> str:
    return "real" if label == REAL else "fake"


DFDC = DeepfakeDetectionChallenge(
    name="dfdc",
    title="DeepFake Detection Challenge",
    licence="DFDC Dataset License (research, no redistribution); the crops fall under the same terms",
    access="account and licence acceptance at https://ai.meta.com/datasets/dfdc, or the competition's page",
    citation="Dolhansky et al., The DeepFake Detection Challenge (DFDC) Dataset, arXiv 2006.07397, 2020",
    layout=(
        "the layout is train/dfdc_train_part_0/metadata.json with its clips beside it (train/ may be absent), "
        "validation/labels.csv, test/labels.csv or test/metadata.json; or the sample train_sample_videos/metadata.json"
    ),
    manipulations=(METHOD,),
    evidence="verified: train parts, label files of train; quoted: numbers, label file of test, the sample",
)
