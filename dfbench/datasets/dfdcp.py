"""The preview data set of the DeepFake Detection Challenge.

``dataset.json`` is the only source of labels, splits and identities: keys are paths relative to it, ``label`` is
``real`` or ``fake``, ``set`` is ``train`` or ``test``. Which of the two numbers in a file name is the target is not
documented, so names are not parsed. There is no validation split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.datasets.base import NOT_A_CLIP, NOT_LISTED, SECOND_FILE, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import given, json_object, location_in, normal, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, stem, walk
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split
from dfbench.untrusted import is_relative

REALS = "original_videos"
METHODS = ("method_A", "method_B")
JSON_NAME = "dataset.json"
# Real and fake clips per split as quoted by others; the sums are those of DeepfakeBench.
PUBLISHED: dict[Split, tuple[int, int]] = {"train": (855, 3618), "test": (276, 501)}
_SETS: dict[str, Split] = {"train": "train", "test": "test"}


@dataclass(frozen=True)
class PreviewClip:
    """One entry of dataset.json.

    Attributes:
        path: relative to the JSON file, without an extension.
        manipulation: ``real`` or the method.
        split: value of the field ``set``.
        target: the person shown.
        source: the person whose face was inserted.
        base: path of the real clip, if it is known.
    """

    path: str
    manipulation: str
    split: Split
    target: str | None
    source: str | None
    base: str | None

    @property
    def name(self) -> str:
        """The path below the method's folder."""
        return self.path.split("/", 1)[1]


class DfdcPreview(DataSetAdapter):
    """Adapter for the DFDC preview set; a scene group is a real clip and the fakes that name it as their source."""

    def read(self, root: Path) -> Findings:
        """Read ``dataset.json`` and find the clips that it names."""
        tree = find_tree(root, lambda folder: find_file(folder, JSON_NAME) is not None, self.title)
        file = find_file(tree, JSON_NAME) if tree is not None else None
        if tree is None or file is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        listed = _read(file)
        files = _files(findings, file.name)
        reals = {path: e.split for path, e in listed.items() if e.manipulation == "real"}
        absent = []
        for path, entry in listed.items():
            findings.expect(_count_key(entry), 1)
            found = files.pop(path.casefold(), None)
            if found is None:
                absent.append(path)
            else:
                findings.add(self._media(entry, found, reals))
        for path in files.values():
            findings.exclude(NOT_LISTED, path)
        if absent:
            findings.warn(f"{len(absent)} clips of {file.name} were not found: {some(absent)}")
        _compare(findings, file.name, listed)
        return findings

    def _media(self, entry: PreviewClip, path: str, reals: Mapping[str, Split]) -> Media:
        fake = entry.manipulation != "real"
        # A base in the other split cannot be in the fake's scene group.
        base = entry.base if entry.base is not None and entry.base in reals else None
        group = base if base is not None and reals[base] == entry.split else entry.path
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=entry.manipulation,
            name=entry.name,
            label=FAKE if fake else REAL,
            split=entry.split,
            scene_group=f"{self.name}/{group}",
            path=path,
            identity_target=entry.target,
            identity_source=entry.source,
            base_media_id=f"{self.name}/all/real/{base.split('/', 1)[1]}" if base else None,
        )


def _count_key(entry: PreviewClip) -> tuple[str, str, str, str]:
    return "all", entry.split, "real" if entry.manipulation == "real" else "fake", entry.manipulation


def _files(findings: Findings, json_name: str) -> dict[str, str]:
    """Return path in lower case, without extension and ``videos`` levels -> actual path."""
    out: dict[str, str] = {}
    for where, files in walk(findings.tree):
        for entry in files:
            path = join(where, entry.name)
            if entry.name == json_name and not where:
                continue
            if not may_be_media(entry.name) or not where:
                findings.exclude(NOT_A_CLIP, path)
                continue
            key = "/".join(p for p in stem(normal(path)).casefold().split("/") if p != "videos")
            if out.setdefault(key, path) != path:
                findings.exclude(SECOND_FILE, path)
    return out


def _read(file: Path) -> dict[str, PreviewClip]:
    out: dict[str, PreviewClip] = {}
    for key, fields in json_object(file).items():
        try:
            entry = _entry(key, fields)
        except DataError as error:
            raise DataError(f"{location_in(file, key)}: {error.message}", error.hint) from error
        if out.setdefault(entry.path, entry) != entry:
            raise DataError(f"{location_in(file, key)}: {key!r} occurs twice with different values")
    if not out:
        raise DataError(f"{file} names no clips", "use the file of the original download")
    return out


def _entry(key: str, fields: Any) -> PreviewClip:
    path = posix(key)
    folders = {name.casefold(): name for name in (REALS, *METHODS)}
    folder = folders.get(path.split("/")[0].casefold())
    if not is_relative(path) or folder is None or "/" not in path:
        raise DataError(f"not a path of the data set: {key!r}", f"paths start with {REALS}/, method_A/ or method_B/")
    if not isinstance(fields, Mapping):
        raise DataError(f"{key!r} has no fields", 'the format is {"label": "fake", "set": "train", ...}')
    label = read_label(fields.get("label"), repr(key))
    if (label == REAL) != (folder == REALS):
        raise DataError(
            f"{key!r} is in {folder}, but its label is {fields['label']!r}", "use the file of the original download"
        )
    split = _SETS.get(str(fields.get("set")).casefold())
    if split is None:
        raise DataError(f"{key!r}: set is {fields.get('set')!r}", "it must be train or test")
    base = given(fields.get("source_video")) if label == FAKE else None
    return PreviewClip(
        path=f"{folder}/{stem(path.split('/', 1)[1])}",
        manipulation="real" if label == REAL else folder,
        split=split,
        target=given(fields.get("target_id")),
        source=given(fields.get("swapped_id")),
        base=stem(posix(base)) if base else None,
    )


def _compare(findings: Findings, file: str, listed: Mapping[str, PreviewClip]) -> None:
    counts = Counter((e.split, e.manipulation != "real") for e in listed.values())
    for split, (real, fake) in PUBLISHED.items():
        have = counts[split, False], counts[split, True]
        if have != (real, fake):
            findings.warn(
                f"{file} names {have[0]} real and {have[1]} fake clips of {split}; published are {real} and {fake}"
            )


DFDCP = DfdcPreview(
    name="dfdcp",
    title="DFDC preview",
    licence="DFDC Dataset License (research, no redistribution); the crops fall under the same terms",
    access="account and licence acceptance at https://ai.meta.com/datasets/dfdc",
    citation="Dolhansky et al., The Deepfake Detection Challenge (DFDC) Preview Dataset, arXiv 1910.08854, 2019",
    layout=(
        "the layout is dfdc_preview_set/dataset.json beside original_videos/, method_A/ and method_B/; "
        "dataset.json is required, because it contains the labels"
    ),
    manipulations=METHODS,
    evidence="verified: label and split of dataset.json, numbers; quoted: tree, people, numbers per split",
)
