"""Deepfake-Eval-2024: clips and images from social media; its sound files are not read.

The columns are quoted from another project: ``video-metadata-publish.csv`` has ``Filename`` and ``Video Ground Truth``,
``image-metadata-publish.csv`` has ``Filename`` and ``Ground Truth``. Values are ``Real`` and ``Fake``; others, such as
``Unknown``, leave the label open: these files are excluded and counted. The label of a clip leaves out its sound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_LISTED, UNLABELLED, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import given, normal, posix
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, stem, walk
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import child
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Kind, Media

METHOD = "fake"
NO_MEDIA = "not the name of a clip or image"
_LABELS = {"real": REAL, "fake": FAKE}


@dataclass(frozen=True)
class MediaType:
    """One of the two types of media.

    Attributes:
        subset: the subset's name.
        folder: where the files are.
        table: the CSV file of the labels.
        column: the column of the labels.
        kind: what the files are.
    """

    subset: str
    folder: str
    table: str
    column: str
    kind: Kind


TYPES = (
    MediaType("video", "video-data", "video-metadata-publish.csv", "video ground truth", "clip"),
    MediaType("image", "image-data", "image-metadata-publish.csv", "ground truth", "image"),
)
AUDIO = "audio-data"


class DeepfakeEval(DataSetAdapter):
    """Adapter for Deepfake-Eval-2024: all media are ``test``, and each is a scene group of its own."""

    def read(self, root: Path) -> Findings:
        """Read the tables and find the files that they name."""
        tree = find_tree(root, lambda folder: any(child(folder, t.folder) for t in TYPES), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        for media_type in TYPES:
            folder = child(tree, media_type.folder)
            if folder is None:
                continue
            table = find_file(tree, media_type.table) or find_file(folder, media_type.table)
            if table is None:
                raise DataError(
                    f"{tree} has {folder.name}, but no {media_type.table}, so its files have no labels",
                    "the tables are in the same repository of Hugging Face",
                )
            self._read(findings, media_type, folder, table)
        if child(tree, AUDIO) is not None:
            findings.exclude("sound, which is not read", AUDIO)
        return findings

    def _read(self, findings: Findings, media_type: MediaType, folder: Path, table: Path) -> None:
        labels = _read_labels(table, media_type.column)
        where = folder.relative_to(findings.tree).as_posix()
        by_stem = _by_stem(labels)
        absent, open_values = set(labels), Counter[str]()
        for inside, files in walk(folder):
            for entry in files:
                if entry.name.casefold() == media_type.table:
                    continue
                path, name = join(join(where, inside), entry.name), normal(entry.name)
                key = name if name in labels else by_stem(stem(name))
                if not may_be_media(entry.name):
                    findings.exclude(NO_MEDIA, path)
                elif key is None:
                    findings.exclude(NOT_LISTED, path)
                else:
                    absent.discard(key)
                    label, text = labels[key]
                    if label is None:
                        open_values[text] += 1
                        findings.exclude(UNLABELLED, path)
                    else:
                        findings.add(self._media(media_type, label, stem(join(inside, entry.name)), path))
        for label, _ in labels.values():
            if label is not None:
                word = "fake" if label == FAKE else "real"
                findings.expect((media_type.subset, "test", word, METHOD if label == FAKE else "real"), 1)
        if open_values:
            values = ", ".join(f"{text or 'empty'} {number}" for text, number in sorted(open_values.items()))
            findings.warn(f"{open_values.total()} files of {table.name} have no label and are not used: {values}")
        if absent:
            findings.warn(f"{len(absent)} files of {table.name} were not found: {some(sorted(absent))}")

    def _media(self, media_type: MediaType, label: int, name: str, path: str) -> Media:
        return Media(
            dataset=self.name,
            subset=media_type.subset,
            manipulation=METHOD if label == FAKE else "real",
            name=name,
            label=label,
            split="test",
            scene_group=f"{self.name}/{media_type.subset}/{name}",
            path=path,
            kind=media_type.kind,
        )


def _read_labels(table: Path, column: str) -> dict[str, tuple[int | None, str]]:
    """Return file name -> (label, value); the label is None where the value leaves it open."""
    out: dict[str, tuple[int | None, str]] = {}
    for line, row in csv_rows(table, ("filename", column)):
        name = posix(row["filename"]).rpartition("/")[2]
        value = given(row[column]) or ""
        label = _LABELS.get(value.casefold())
        if out.setdefault(name, (label, value))[0] != label:
            raise DataError(f"{table}, line {line}: {name} has another label in an earlier line", "remove one of them")
    return out


def _by_stem(names: Iterable[str]) -> Callable[[str], str | None]:
    """Return a function that finds a listed name by its part without extension, if only one has it."""
    counts = Counter(map(stem, names))
    found = {stem(name): name for name in names if counts[stem(name)] == 1}
    return found.get


DEEPFAKE_EVAL_2024 = DeepfakeEval(
    name="deepfake-eval-2024",
    title="Deepfake-Eval-2024",
    licence="CC-BY-SA-4.0, gated by the owners; the crops fall under the same terms",
    access="https://huggingface.co/datasets/nuriachandra/Deepfake-Eval-2024 (institution and proof of work)",
    citation="Chandra et al., Deepfake-Eval-2024, arXiv 2503.02857, 2025",
    layout=(
        "the layout is video-data/ with video-metadata-publish.csv (Filename, Video Ground Truth) and image-data/ with "
        "image-metadata-publish.csv (Filename, Ground Truth)"
    ),
    subsets=tuple(t.subset for t in TYPES),
    manipulations=(METHOD,),
    evidence="verified: licence, access; quoted: folders, tables, columns; open: split, other values",
)
