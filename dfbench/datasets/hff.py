"""HFF, the Hybrid Fake Face data set: still images in ``<split>/real/**`` and ``<split>/fake/**``.

Sources: the repository Hybrid-Fake-Face-Dataset: the table of its paper for the classes, and ``create_txtlabel.py``
for the folders and for its list files ``<split>.txt``, which write **fake = 0 and real = 1**. The names of the
folders per class and the split are not published, so that the first folder below ``real`` or ``fake`` is the class.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dfbench.datasets.base import NOT_LISTED, DataSet, Finds, some
from dfbench.datasets.label_lists import posix, read_text
from dfbench.datasets.layout import find_file, find_tree, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import child, subfolders
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, SPLITS, Media, Split

REAL_CLASSES = {"CelebA": 25_000, "CelebA-HQ": 10_000, "YouTube-Frame": 25_000}
FAKE_CLASSES = {"PGGAN": 10_000, "StyleGAN": 10_000, "Glow": 25_000, "Face2Face": 25_000, "StarGAN": 25_000}
ROUNDING = 0.05  # the published numbers are rounded to thousands
NO_IMAGE = "not an image by its name"
NO_LABEL = "no label: neither below real/ or fake/ nor in a list"
_LABELS = {"real": REAL, "fake": FAKE}
_POLARITY = re.compile(r"^#\s*(?P<word>fake|real)\s*=\s*(?P<flag>[01])\s*$", re.IGNORECASE)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_CLASSES = {_key(name): name for name in (*REAL_CLASSES, *FAKE_CLASSES)}


@dataclass(frozen=True)
class Place:
    """What the folders of an image say.

    Attributes:
        split: of a folder ``train``, ``val`` or ``test``; None without one.
        label: of a folder ``real`` or ``fake``; None without one.
        kind: class, the first folder below that; empty without one.
        name: path without the folder of the label and without extension.
    """

    split: Split | None
    label: int | None
    kind: str
    name: str


def read_place(path: str) -> Place:
    """Take a path relative to the root apart.

    >>> read_place("train/fake/pggan/00001.png")
    Place(split='train', label=1, kind='PGGAN', name='train/pggan/00001')
    """
    *folders, file = path.split("/")
    at = next((n for n, folder in enumerate(folders) if folder.casefold() in _LABELS), None)
    before = folders if at is None else folders[:at]
    split = next((cast(Split, s) for s in map(split_of, before) if s), None)
    if at is None:
        return Place(split, None, "", stem(path))
    rest = folders[at + 1 :]
    kind = _CLASSES.get(_key(rest[0]), rest[0]) if rest else ""
    return Place(split, _LABELS[folders[at].casefold()], kind, "/".join((*before, *rest, stem(file))))


class HybridFakeFace(DataSet):
    """Adapter for HFF; without knowledge of the source videos each image is a scene group of its own."""

    def read(self, root: Path) -> Finds:
        """Read the folders, and the list files where there are some: then what is not listed is left out."""
        tree = find_tree(root, _is_tree, self.title)
        if tree is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        lists = {s: f for s in SPLITS if (f := find_file(tree, f"{s}.txt")) is not None}
        places = self._walk(finds, {f.name for f in lists.values()})
        listed: dict[str, tuple[Split, int]] = {}
        for split, file in lists.items():
            _read_list(finds, file, split, places, listed)
        for path, place in places.items():
            split, label = listed.get(path, (place.split or "test", place.label))
            if path not in listed and (place.split or next(iter(lists), None)) in lists:
                finds.leave_out(NOT_LISTED, path)
            elif label is None:
                finds.leave_out(NO_LABEL, path)
            else:
                self._add(finds, path, place, split, label)
        self._compare(finds)
        return finds

    def _walk(self, finds: Finds, lists: set[str]) -> dict[str, Place]:
        out: dict[str, Place] = {}
        for where, files in walk(finds.tree):
            for entry in files:
                path = join(where, entry.name)
                if may_be_media(entry.name):
                    out[path] = read_place(path)
                elif where or entry.name not in lists:
                    finds.leave_out(NO_IMAGE, path)
        return out

    def _add(self, finds: Finds, path: str, place: Place, split: Split, label: int) -> None:
        wrong = REAL_CLASSES if label == FAKE else FAKE_CLASSES
        if place.kind in wrong:
            raise DataError(
                f"{finds.tree / path}: {place.kind} is a {'real' if label == FAKE else 'fake'} class of {self.title}, "
                f"but lies below {'fake' if label == FAKE else 'real'}/",
                "move the folder to where it belongs",
            )
        manipulation = (place.kind or "fake") if label == FAKE else "real"
        finds.add(
            Media(
                dataset=self.name,
                subset="all",
                manipulation=manipulation,
                name=place.name,
                label=label,
                split=split,
                scene_group=f"{self.name}/{manipulation}/{place.name}",
                path=path,
                class_name=place.kind if label == REAL else "",
                kind="image",
            )
        )

    def _compare(self, finds: Finds) -> None:
        splits = sorted({m.split for m in finds.media.values()})
        if len(splits) == 1:
            finds.expect(("all", splits[0], "real", "real"), sum(REAL_CLASSES.values()))
            for kind, number in FAKE_CLASSES.items():
                finds.expect(("all", splits[0], "fake", kind), number)
        seen = Counter(m.class_name or m.manipulation for m in finds.media.values())
        published = {**REAL_CLASSES, **FAKE_CLASSES}
        off = [f"{k} {seen[k]} (about {n})" for k, n in published.items() if abs(seen[k] - n) > ROUNDING * n]
        if off:
            finds.warn(f"numbers of images that are not the published ones: {', '.join(off)}")
        strange = sorted(set(seen) - set(published))
        if strange:
            finds.warn(f"folders that are none of the eight published classes: {', '.join(strange)}")


def _is_tree(folder: Path) -> bool:
    places = [folder, *(folder / name for name in subfolders(folder) if split_of(name))]
    if any(child(place, label) is not None for place in places for label in _LABELS):
        return True
    return find_file(folder, *(f"{split}.txt" for split in SPLITS)) is not None


def _read_list(
    finds: Finds, file: Path, split: Split, places: dict[str, Place], listed: dict[str, tuple[Split, int]]
) -> None:
    fake_flag = "0"  # as the data set's own script writes it; a line "# fake=1" declares the other
    is_declared = False
    absent: list[str] = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        declared = _POLARITY.match(line.strip())
        if declared:
            is_one = (declared["word"].casefold() == "fake") == (declared["flag"] == "1")
            fake_flag, is_declared = "1" if is_one else "0", True
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        path, flag = _split_line(line, f"{file}, line {number}")
        found = _resolve(path, places)
        if found is None:
            absent.append(path)
            continue
        label = FAKE if flag == fake_flag else REAL
        place = places[found]
        if place.label is None and not is_declared:
            raise DataError(
                f"{file}, line {number}: {path} lies neither below real/ nor below fake/, so that nothing tells "
                "what the flags mean",
                f"put '# fake=0' (as the data set's own script writes it) or '# fake=1' into line 1 of {file.name}",
            )
        if place.label is not None and place.label != label:
            raise DataError(
                f"{file}, line {number}: {path} lies in a folder of {'fakes' if place.label == FAKE else 'reals'}, "
                f"but flag {flag} says {'fake' if label == FAKE else 'real'}",
                f"lists of this data set write fake = 0; if yours does not, put '# fake=1' into line 1 of {file.name}",
            )
        if place.split not in (None, split) or listed.get(found, (split, label)) != (split, label):
            raise DataError(f"{file}, line {number}: {path} belongs to another split or label")
        listed[found] = split, label
    if absent:
        finds.warn(f"{len(absent)} images of {file.name} are not there: {some(absent)}")


def _split_line(line: str, where: str) -> tuple[str, str]:
    path, _, flag = line.strip().rpartition(" ") if " " in line.strip() else line.strip().rpartition("\t")
    if not path or flag not in ("0", "1"):
        raise DataError(f"{where}: not an entry of the list: {line.strip()!r}", "a line reads: PATH 0, or PATH 1")
    return posix(path), flag


def _resolve(path: str, places: dict[str, Place]) -> str | None:
    """The file that a list means: lists hold the folders of the machine they were made on, which are dropped."""
    parts = path.lstrip("/").split("/")
    return next((tail for n in range(len(parts)) if (tail := "/".join(parts[n:])) in places), None)


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
)
