"""HFF, the Hybrid Fake Face data set: still images in ``<split>/real/**`` and ``<split>/fake/**``.

Sources: the repository Hybrid-Fake-Face-Dataset: the table of its paper for the classes, and ``create_txtlabel.py``
for the folders and for its list files ``<split>.txt``, which use **fake = 0 and real = 1**. Folder names of the classes
and the split are not published, so the first folder below ``real`` or ``fake`` is taken as the class.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import NOT_LISTED, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import normal, posix
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, split_of, stem, walk
from dfbench.datasets.text_files import read_text
from dfbench.datasets.tree import child, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, SPLITS, Media, Split

REAL_CLASSES = {"CelebA": 25_000, "CelebA-HQ": 10_000, "YouTube-Frame": 25_000}
FAKE_CLASSES = {"PGGAN": 10_000, "StyleGAN": 10_000, "Glow": 25_000, "Face2Face": 25_000, "StarGAN": 25_000}
ROUNDING = 0.05  # the published numbers are rounded to thousands
NO_IMAGE = "not the name of an image"
NO_LABEL = "no label: neither below real/ or fake/ nor in a list"
_LABELS = {"real": REAL, "fake": FAKE}
_POLARITY = re.compile(r"^#\s*(?P<word>fake|real)\s*=\s*(?P<flag>[01])\s*$", re.IGNORECASE)

_LINE = re.compile(r"^\"?(?P<path>[^\"]+?)\"?[\s,;]+\"?(?P<flag>[01])\"?$")  # also as a spreadsheet saves it


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_CLASSES = {_key(name): name for name in (*REAL_CLASSES, *FAKE_CLASSES)}


@dataclass(frozen=True)
class ImagePath:
    """A parsed path.

    Attributes:
        split: by a folder ``train``, ``val`` or ``test``; None without one.
        label: by a folder ``real`` or ``fake``; None without one.
        kind: the class: the first folder below that; empty without one.
        name: path without the folder of the label and without extension.
    """

    split: Split | None
    label: int | None
    kind: str
    name: str


def parse_path(path: str) -> ImagePath:
    """Parse a path relative to the root.

    >>> parse_path("train/fake/pggan/00001.png")
    ImagePath(split='train', label=1, kind='PGGAN', name='train/pggan/00001')
    """
    *folders, file = path.split("/")
    at = next((n for n, folder in enumerate(folders) if folder.casefold() in _LABELS), None)
    before = folders if at is None else folders[:at]
    split = next((cast(Split, s) for s in map(split_of, before) if s), None)
    if at is None:
        return ImagePath(split, None, "", stem(path))
    rest = folders[at + 1 :]
    kind = _CLASSES.get(_key(rest[0]), rest[0]) if rest else ""
    return ImagePath(split, _LABELS[folders[at].casefold()], kind, "/".join((*before, *rest, stem(file))))


class HybridFakeFace(DataSetAdapter):
    """Adapter for HFF; every image is its own scene group, because the source videos are unknown."""

    def read(self, root: Path) -> Findings:
        """Read the folders and the list files; if there are lists, images that are not listed are excluded."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        lists = {s: f for s in SPLITS if (f := find_file(tree, f"{s}.txt")) is not None}
        images = self._walk(findings, {f.name for f in lists.values()})
        listed: dict[str, tuple[Split, int]] = {}
        for split, file in lists.items():
            _read_list(findings, file, split, images, listed)
        for path, image in images.items():
            split, label = listed.get(path, (image.split or "test", image.label))
            if path not in listed and (image.split or next(iter(lists), None)) in lists:
                findings.exclude(NOT_LISTED, path)
            elif label is None:
                findings.exclude(NO_LABEL, path)
            else:
                self._add(findings, path, image, split, label)
        self._compare(findings)
        return findings

    def _walk(self, findings: Findings, lists: set[str]) -> dict[str, ImagePath]:
        out: dict[str, ImagePath] = {}
        for where, files in walk(findings.tree):
            for entry in files:
                path = join(where, entry.name)
                if may_be_media(entry.name):
                    out[path] = parse_path(path)
                elif where or entry.name not in lists:
                    findings.exclude(NO_IMAGE, path)
        return out

    def _add(self, findings: Findings, path: str, image: ImagePath, split: Split, label: int) -> None:
        wrong = REAL_CLASSES if label == FAKE else FAKE_CLASSES
        if image.kind in wrong:
            own, other = ("fake", "real") if label == FAKE else ("real", "fake")
            raise DataError(
                f"{findings.tree / path}: {image.kind} is a {other} class of {self.title}, but is below {own}/",
                f"move the folder below {other}/",
            )
        manipulation = (image.kind or "fake") if label == FAKE else "real"
        findings.add(
            Media(
                dataset=self.name,
                subset="all",
                manipulation=manipulation,
                name=image.name,
                label=label,
                split=split,
                scene_group=f"{self.name}/{manipulation}/{image.name}",
                path=path,
                class_name=image.kind if label == REAL else "",
                kind="image",
            )
        )

    def _compare(self, findings: Findings) -> None:
        splits = sorted({m.split for m in findings.media.values()})
        if len(splits) == 1:
            findings.expect(("all", splits[0], "real", "real"), sum(REAL_CLASSES.values()))
            for kind, number in FAKE_CLASSES.items():
                findings.expect(("all", splits[0], "fake", kind), number)
        counts = Counter(m.class_name or m.manipulation for m in findings.media.values())
        published = {**REAL_CLASSES, **FAKE_CLASSES}
        off = [f"{k} {counts[k]} (published {n})" for k, n in published.items() if abs(counts[k] - n) > ROUNDING * n]
        if off:
            findings.warn(f"the numbers of images differ from the published ones: {', '.join(off)}")
        unknown = sorted(set(counts) - set(published))
        if unknown:
            findings.warn(f"folders that are not published classes: {', '.join(unknown)}")


def _is_tree(folder: Path) -> bool:
    parents = [folder, *(folder / name for name in subfolders(folder) if split_of(name))]
    if any(child(parent, label) is not None for parent in parents for label in _LABELS):
        return True
    return find_file(folder, *(f"{split}.txt" for split in SPLITS)) is not None


def _read_list(
    findings: Findings, file: Path, split: Split, images: dict[str, ImagePath], listed: dict[str, tuple[Split, int]]
) -> None:
    fake_flag = "0"  # as in the lists of the data set's own script; a line "# fake=1" declares the opposite
    is_declared = False
    absent: list[str] = []
    by_name = {normal(path): path for path in images}
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        declared = _POLARITY.match(line.strip())
        if declared:
            is_one = (declared["word"].casefold() == "fake") == (declared["flag"] == "1")
            fake_flag, is_declared = "1" if is_one else "0", True
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        path, flag = _split_line(line, f"{file}, line {number}")
        found = _resolve(path, by_name)
        if found is None:
            absent.append(path)
            continue
        label = FAKE if flag == fake_flag else REAL
        image = images[found]
        if image.label is None and not is_declared:
            raise DataError(
                f"{file}, line {number}: {path} is neither below real/ nor below fake/, so the meaning of the flags "
                "is unknown",
                f"put '# fake=0' (as in lists of the data set's own script) or '# fake=1' into line 1 of {file.name}",
            )
        if image.label is not None and image.label != label:
            raise DataError(
                f"{file}, line {number}: {path} is in a folder of {'fakes' if image.label == FAKE else 'reals'}, "
                f"but flag {flag} means {'fake' if label == FAKE else 'real'}",
                f"lists of this data set use fake = 0; if yours does not, put '# fake=1' into line 1 of {file.name}",
            )
        if image.split not in (None, split) or listed.get(found, (split, label)) != (split, label):
            raise DataError(f"{file}, line {number}: {path} belongs to another split or label")
        listed[found] = split, label
    if absent:
        findings.warn(f"{len(absent)} images of {file.name} were not found: {some(absent)}")


def _split_line(line: str, where: str) -> tuple[str, str]:
    match = _LINE.match(line.strip())
    if match is None:
        raise DataError(f"{where}: not an entry of the list: {line.strip()!r}", "the format is: PATH 0, or PATH 1")
    return posix(match["path"]), match["flag"]


def _resolve(path: str, images: dict[str, str]) -> str | None:
    """Return the file that a list names; the leading folders of the machine the list was made on are dropped.

    Args:
        path: in normal form.
        images: path in normal form -> path on disk.
    """
    parts = path.lstrip("/").split("/")
    return next((images[tail] for n in range(len(parts)) if (tail := "/".join(parts[n:])) in images), None)


HFF = HybridFakeFace(
    name="hff",
    title="Hybrid Fake Face",
    licence="agreement with the authors (non-commercial research); the crops fall under the same terms",
    access="e-mail to the author, see https://github.com/EricGzq/Hybrid-Fake-Face-Dataset",
    citation="Guo et al., Fake face detection via adaptive manipulation traces extraction network, CVIU 204, 2021",
    layout=(
        "the layout is train/real/CelebA/*.jpg and train/fake/PGGAN/*.png (splits may be absent), "
        "with optional lists train.txt, val.txt, test.txt of PATH and flag, fake = 0"
    ),
    real_classes=("real", *REAL_CLASSES),
    evidence="verified: real/ and fake/, classes, flag of the lists; open: folders of classes, split",
)
