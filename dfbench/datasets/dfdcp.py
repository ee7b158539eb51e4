"""The preview data set of the DeepFake Detection Challenge.

``dataset.json`` is the only source of labels, splits and identities: keys are paths relative to it, ``label`` is
``real`` or ``fake``, ``set`` is ``train`` or ``test``. Which of the two numbers in a file name is the target is not
documented, so that names are never taken apart. There is no validation part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.datasets.base import NOT_A_CLIP, NOT_LISTED, DataSet, Finds, some
from dfbench.datasets.label_lists import is_inside, json_object, place_in, posix, read_label
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, stem, walk
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

REALS = "original_videos"
METHODS = ("method_A", "method_B")
JSON_NAME = "dataset.json"
# Real and fake clips; per split as others quote it, the sums as DeepfakeBench prints them.
PUBLISHED: dict[Split, tuple[int, int]] = {"train": (855, 3618), "test": (276, 501)}
_SETS: dict[str, Split] = {"train": "train", "test": "test"}


@dataclass(frozen=True)
class Entry:
    """One entry of dataset.json.

    Attributes:
        path: relative to the JSON file, without an extension.
        manipulation: ``real`` or the method.
        split: of the field ``set``.
        target: who is seen.
        source: whose face was put in.
        base: path of the real clip, where it is told.
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


class Preview(DataSet):
    """Adapter for the DFDC preview set; a scene group is a real clip and the fakes that name it as their source."""

    def read(self, root: Path) -> Finds:
        """Read ``dataset.json`` and look for what it names."""
        tree = find_tree(root, lambda folder: find_file(folder, JSON_NAME) is not None, self.title)
        file = find_file(tree, JSON_NAME) if tree is not None else None
        if tree is None or file is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        listed = _read(file)
        there = _files(finds, file.name)
        reals = {path: e.split for path, e in listed.items() if e.manipulation == "real"}
        absent = []
        for path, entry in listed.items():
            finds.expect(_cell(entry), 1)
            found = there.pop(path.casefold(), None)
            if found is None:
                absent.append(path)
            else:
                finds.add(self._media(entry, found, reals))
        for path in there.values():
            finds.leave_out(NOT_LISTED, path)
        if absent:
            finds.warn(f"{len(absent)} clips of {file.name} are not there: {some(absent)}")
        _compare(finds, file.name, listed)
        return finds

    def _media(self, entry: Entry, path: str, reals: Mapping[str, Split]) -> Media:
        fake = entry.manipulation != "real"
        # A base outside of the fake's own part of the data set can not be in its group.
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


def _cell(entry: Entry) -> tuple[str, str, str, str]:
    return "all", entry.split, "real" if entry.manipulation == "real" else "fake", entry.manipulation


def _files(finds: Finds, json_name: str) -> dict[str, str]:
    """Path in lower case, without extension and ``videos`` levels -> path as it is."""
    out: dict[str, str] = {}
    for where, files in walk(finds.tree):
        for entry in files:
            path = join(where, entry.name)
            if entry.name == json_name and not where:
                continue
            if not may_be_media(entry.name) or not where:
                finds.leave_out(NOT_A_CLIP, path)
                continue
            key = "/".join(p for p in stem(path).casefold().split("/") if p != "videos")
            if out.setdefault(key, path) != path:
                finds.leave_out("a second file of the same clip", path)
    return out


def _read(file: Path) -> dict[str, Entry]:
    out: dict[str, Entry] = {}
    for key, fields in json_object(file).items():
        try:
            entry = _entry(key, fields)
        except DataError as error:
            raise DataError(f"{place_in(file, key)}: {error.message}", error.hint) from error
        if out.setdefault(entry.path, entry) != entry:
            raise DataError(f"{place_in(file, key)}: {key!r} stands twice, with different values")
    if not out:
        raise DataError(f"{file} names no clip", "take the file that ships with the data set")
    return out


def _entry(key: str, fields: Any) -> Entry:
    path = posix(key)
    folders = {name.casefold(): name for name in (REALS, *METHODS)}
    folder = folders.get(path.split("/")[0].casefold())
    if not is_inside(path) or folder is None or "/" not in path:
        raise DataError(f"not a path of the data set: {key!r}", f"paths begin with {REALS}/, method_A/ or method_B/")
    if not isinstance(fields, Mapping):
        raise DataError(f"{key!r} has no fields", 'an entry reads {"label": "fake", "set": "train", ...}')
    label = read_label(fields.get("label"), repr(key))
    if (label == REAL) != (folder == REALS):
        raise DataError(f"{key!r} lies in {folder}, but its label is {fields['label']!r}", "take the original file")
    split = _SETS.get(str(fields.get("set")).casefold())
    if split is None:
        raise DataError(f"{key!r}: set is {fields.get('set')!r}", "it is train or test")
    base = fields.get("source_video") if label == FAKE else None
    return Entry(
        path=f"{folder}/{stem(path.split('/', 1)[1])}",
        manipulation="real" if label == REAL else folder,
        split=split,
        target=_text(fields.get("target_id")),
        source=_text(fields.get("swapped_id")),
        base=stem(posix(str(base))) if base else None,
    )


def _text(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _compare(finds: Finds, file: str, listed: Mapping[str, Entry]) -> None:
    seen = Counter((e.split, e.manipulation != "real") for e in listed.values())
    for split, (real, fake) in PUBLISHED.items():
        have = seen[split, False], seen[split, True]
        if have != (real, fake):
            finds.warn(f"{file} names {have[0]} real and {have[1]} fake clips of {split}, published: {real}, {fake}")


DFDCP = Preview(
    name="dfdcp",
    title="DFDC preview",
    licence="DFDC Dataset License (research, no redistribution); the crops fall under the same terms",
    access="account and licence acceptance at https://ai.meta.com/datasets/dfdc",
    citation="Dolhansky et al., The Deepfake Detection Challenge (DFDC) Preview Dataset, arXiv 1910.08854, 2019",
    layout=(
        "the layout is dfdc_preview_set/dataset.json beside original_videos/, method_A/ and method_B/; "
        "without dataset.json nothing has a label"
    ),
    manipulations=METHODS,
)
