"""DF40: face crops of forty forging methods, 31 of them made from FaceForensics++ and Celeb-DF version 2.

Source: the README of the repository DF40 (methods, families, where the reals are). Layout, spellings of folders and
damaged files are quoted from issues and other projects: ``METHOD/ff`` and ``METHOD/cdf``, or ``METHOD/fake`` and
``METHOD/real`` for the nine methods with reals of their own; training data are in a folder ``DF40_train``. Reals of the
other methods are those of FaceForensics++ and Celeb-DF, in DeepfakeBench's layout beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets import celebdf
from dfbench.datasets.base import DataSetAdapter, Findings, some
from dfbench.datasets.df40_names import FAMILIES, Origin, is_method, method_of, origin_of
from dfbench.datasets.ffpp_pairs import official_pairs, parse_name
from dfbench.datasets.frame_folders import add_frames, find_frames
from dfbench.datasets.layout import extension, find_tree, is_image, join, may_be_media, split_of, stem, walk
from dfbench.datasets.tree import child, descend, entries, subfolders
from dfbench.schema.media import FAKE, REAL, Kind, Media, Split

OWN = "own"
DOMAINS = {"ff": ("ff", FAKE), "cdf": ("cdf", FAKE), "fake": (OWN, FAKE), "real": (OWN, REAL)}
EMPTY = "an empty file"
NO_MEDIA = "not the name of an image or clip"
ARCHIVE = "an archive that is not extracted"
_BESIDE_FRAMES = frozenset({"landmarks", "masks"})  # what DeepfakeBench stores beside the frames
_ARCHIVES = frozenset({"zip", "tar", "gz", "tgz", "7z", "rar"})
_PART = re.compile(r"^DF40([ _-]*(?P<split>train|test)(ing)?)?$", re.IGNORECASE)


@dataclass(frozen=True)
class MethodFolder:
    """The fakes or the own reals of a method.

    Attributes:
        path: the folder.
        method: the method.
        subset: ``ff``, ``cdf`` or ``own``.
        label: 0 real, 1 fake.
        split: ``train`` in the training data, else ``test``.
    """

    path: Path
    method: str
    subset: str
    label: int
    split: Split


class DF40(DataSetAdapter):
    """Adapter for DF40; a scene group is a pair of FaceForensics++ or a person of Celeb-DF within a split."""

    def read(self, root: Path) -> Findings:
        """Read the folders of all methods, and the reals beside them."""
        tree = find_tree(root, lambda folder: any(True for _ in _folders(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        empty: list[str] = []
        for folder in _folders(tree):
            self._read_folder(findings, folder, empty)
        self._reals(findings)
        if empty:
            findings.warn(f"{len(empty)} images are empty files, as in the release: {some(empty)}")
        _archives(findings)
        self._compare(findings)
        return findings

    def _read_folder(self, findings: Findings, folder: MethodFolder, empty: list[str]) -> None:
        where = folder.path.relative_to(findings.tree).as_posix()
        for inside, files in walk(folder.path):
            levels = [part for part in inside.split("/") if part]
            if not _BESIDE_FRAMES.isdisjoint(map(str.casefold, levels)):
                continue
            name = "/".join(part for part in levels if part.casefold() != "frames")
            images = 0
            for entry in files:
                path = join(join(where, inside), entry.name)
                if not may_be_media(entry.name):
                    findings.exclude(NO_MEDIA, path)
                elif is_image(entry.name) and _is_empty(entry):
                    empty.append(path)
                    if not name:
                        findings.exclude(EMPTY, path)
                elif not is_image(entry.name):
                    findings.add(self._media(folder, join(name, stem(entry.name)), path, "clip"))
                elif name:
                    images += 1
                else:
                    findings.add(self._media(folder, stem(entry.name), path, "image"))
            if images:
                findings.add(self._media(folder, name, join(where, inside), "sequence"))
            elif name and any(is_image(entry.name) for entry in files):
                findings.exclude(EMPTY, join(where, inside))

    def _media(self, folder: MethodFolder, name: str, path: str, kind: Kind) -> Media:
        fake = folder.label == FAKE
        origin = origin_of(name.rpartition("/")[2], folder.subset, fake)
        name = name if fake else f"{folder.method}/{name}"
        return self._of(folder.subset, folder.method if fake else "real", name, folder.split, path, origin, kind)

    def _of(
        self, subset: str, manipulation: str, name: str, split: Split, path: str, origin: Origin, kind: Kind
    ) -> Media:
        fake = manipulation != "real"
        group = origin.group or f"{manipulation}/{name}"
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=manipulation,
            name=name,
            label=FAKE if fake else REAL,
            split=split,
            scene_group=f"{self.name}/{subset}/{split}/{group}",
            path=path,
            identity_target=origin.target,
            identity_source=origin.source,
            base_media_id=f"{self.name}/{subset}/real/{origin.base}" if fake and origin.base else None,
            # Only FaceForensics++ names the clip of the source; Celeb-DF names the person.
            source_media_id=f"{self.name}/ff/real/{origin.source}" if subset == "ff" and origin.source else None,
            kind=kind,
            cropped=kind != "clip",
        )

    def _reals(self, findings: Findings) -> None:
        """Add the reals of FaceForensics++ and Celeb-DF that DeepfakeBench cropped, if they are beside the fakes."""
        pairs = official_pairs()

        def of_ffpp(file: str, path: str) -> Media | None:
            pair = pairs.by_clip.get(stem(file))
            if pair is None:
                return None
            name = stem(file)
            return self._of("ff", "real", name, pair.split, path, origin_of(name, "ff", False), "sequence")

        ffpp = descend(findings.tree, "FaceForensics++", "original_sequences", "youtube", "c23")
        place = find_frames(ffpp, lambda name: parse_name(name, real=True) is not None)
        if place is not None:
            add_frames(findings, place, of_ffpp, cropped=True)
        for folder in (celebdf.CELEB, celebdf.YOUTUBE):
            self._reals_of_celeb(findings, folder)

    def _reals_of_celeb(self, findings: Findings, folder: str) -> None:
        def media_of(file: str, path: str) -> Media | None:
            name = stem(file)
            if not celebdf.NAMES[folder].match(name):
                return None
            return self._of("cdf", "real", name, "test", path, origin_of(name, "cdf", False), "sequence")

        location = descend(findings.tree, "Celeb-DF-v2", folder)
        place = find_frames(location, lambda name: media_of(name, "") is not None)
        if place is not None:
            add_frames(findings, place, media_of, cropped=True)

    def _compare(self, findings: Findings) -> None:
        media = findings.media.values()
        for subset, source in (("ff", "FaceForensics++"), ("cdf", "Celeb-DF-v2")):
            labels = {m.label for m in media if m.subset == subset}
            if labels == {FAKE}:
                findings.warn(
                    f"subset {subset} has no reals, which are not in the release: put DeepfakeBench's crops of the "
                    f"reals into {findings.tree.name}/{source}; binary metrics are undefined for a single class"
                )
        found = {m.manipulation for m in media if m.label == FAKE}
        known = [method for methods in FAMILIES.values() for method in methods]
        lacking = [method for method in known if method not in found]
        if lacking:
            findings.warn(f"{len(lacking)} of {len(known)} methods have no media: {some(lacking)}")
        unknown = sorted(found - set(known))
        if unknown:
            findings.warn(f"folders that are not published methods: {some(unknown)}")
        pairs = official_pairs()
        moved = [
            m.path
            for m in media
            if m.subset == "ff" and m.label == FAKE and (pair := pairs.by_clip.get(m.identity_target or ""))
            if pair.split != m.split and (pair.split, m.split) != ("val", "test")
        ]
        if moved:
            findings.warn(f"{len(moved)} fakes are made from clips of another split of FaceForensics++: {some(moved)}")


def _folders(tree: Path) -> Iterator[MethodFolder]:
    """Yield the folders of all methods: below ``DF40`` and ``DF40_train`` or directly in a folder."""
    parts: list[tuple[Split, Path]] = [(_split(tree.name), tree)]
    for name in subfolders(tree):
        if _PART.match(name) or split_of(name) in ("train", "test"):
            inner = child(tree, name)
            parts += [(_split(name), inner)] if inner is not None else []
    for split, part in parts:
        for name in subfolders(part):
            inner = child(part, name)
            domains = [d for d in subfolders(inner) if d.casefold() in DOMAINS] if inner is not None else []
            # An unknown name is a method only beside published ones.
            if inner is None or not domains or not (is_method(name) or _has_methods(part)):
                continue
            for domain in domains:
                subset, label = DOMAINS[domain.casefold()]
                yield MethodFolder(inner / domain, method_of(name), subset, label, split)


def _has_methods(part: Path) -> bool:
    return any(is_method(name) for name in subfolders(part))


def _split(name: str) -> Split:
    match = _PART.match(name)
    word = (match["split"] or "") if match else name
    return "train" if split_of(word) == "train" else "test"


def _is_empty(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.stat().st_size
    except OSError:
        return False  # a link to nothing: it becomes a row with its reason


def _archives(findings: Findings) -> None:
    places = [findings.tree, *(findings.tree / n for n in subfolders(findings.tree) if _PART.match(n) or split_of(n))]
    found = [Path(e.path) for p in places for e in entries(p) if e.is_file() and extension(e.name) in _ARCHIVES]
    for path in found:
        findings.exclude(ARCHIVE, path.relative_to(findings.tree).as_posix())
    if found:
        findings.warn(
            f"{len(found)} archives are not extracted: {some([p.name for p in found])}; some of the release are in a "
            "format that unzip cannot read: extract them with 7z x, or python -m zipfile -e ARCHIVE FOLDER"
        )


DF40_CROPS = DF40(
    name="df40",
    title="DF40",
    licence="CC BY-NC 4.0; the data derive from others and keep the terms of their owners",
    access="form at https://github.com/YZY-stack/DF40; reals: DeepfakeBench's crops of FaceForensics++ and Celeb-DF",
    citation="Yan et al., DF40: Toward Next-Generation Deepfake Detection, NeurIPS 2024 (data sets track)",
    layout=(
        "the layout is DF40/METHOD/ff|cdf/frames/CLIP/000.png, DF40/METHOD/fake|real/... and DF40_train/METHOD/ff/...; "
        "reals as FaceForensics++/original_sequences/youtube/c23/frames/000 and Celeb-DF-v2/Celeb-real/frames/id0_0000"
    ),
    subsets=("ff", "cdf", OWN),
    evidence="verified: methods, families, reals; quoted: folders, spellings, damaged files; open: numbers",
)
