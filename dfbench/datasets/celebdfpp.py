"""Celeb-DF++ (version 3): Celeb-DF's reals, and fakes of 22 methods in folders of categories.

Sources: the README of the repository Celeb-DF-PP (tree, numbers of the test list); the meaning of the names is quoted
from another project. **The same name occurs in many folders of methods**, so that clips and entries of the list are
identified by method and name. The flag of the list is 1 for real, as in version 2; people are shared by the splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.celebdf import (
    CATEGORIES,
    CELEB,
    LIST_NAME,
    NAMES,
    SYNTHESIS,
    YOUTUBE,
    find_list,
    has_categories,
    has_folders,
    parse_name,
    read_list,
    warn_of_shared_clips,
)
from dfbench.datasets.layout import clips_first, find_tree, join, may_be_media, stem, walk, with_videos
from dfbench.datasets.tree import child
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

ORIGINAL = "Celeb-DF"  # the method of version 2, whose fakes are included
SWAPS = (ORIGINAL, "BlendFace", "GHOST", "HifiFace", "InSwapper", "MobileFaceSwap", "SimSwap", "UniFace")
REENACTMENTS = ("DaGAN", "FSRT", "HyperReenact", "LIA", "LivePortrait", "MCNET", "TPSMM")
TALKING = ("AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP", "Real3DPortrait", "SadTalker")
METHODS = SWAPS + REENACTMENTS + TALKING
TEST_FAKES = {m: 340 if m == ORIGINAL else 300 if m in TALKING else 200 for m in METHODS}
TEST_REALS = 178
REALS = 590 + 300
_ALIASES = {"celeb-df-v2": ORIGINAL, **{name.casefold(): name for name in METHODS}}
_TALKING_NAME = re.compile(r"^id(?P<target>[0-9]+)_(?P<clip>[0-9]{4})_test_(?P<reference>.+)$")

ListKey = tuple[str, str, str]
"""One of the three folders, method (empty for reals), name of the clip."""


@dataclass(frozen=True)
class FakeOrigin:
    """The people and the real clip in the name of a fake.

    Attributes:
        target: the person shown.
        source: the person whose face or motion was used; None for a talking face, which follows sound.
        base: name of the real clip in ``Celeb-real``.
    """

    target: str
    source: str | None
    base: str


def parse_fake(name: str) -> FakeOrigin | None:
    """Parse the name of a fake (without extension); return None if it names no person.

    >>> parse_fake("id2_0001_test_00012")
    FakeOrigin(target='id2', source=None, base='id2_0001')
    """
    people = parse_name(name, SYNTHESIS)
    if people is not None:
        return FakeOrigin(people.target, people.source, people.base)
    match = _TALKING_NAME.match(name)
    return FakeOrigin(f"id{match['target']}", None, f"id{match['target']}_{match['clip']}") if match else None


def _method_of(folders: Sequence[str]) -> str:
    """Return the method that the folders below ``Celeb-synthesis`` name; the last one if it is not a published one."""
    known = [_ALIASES[f.casefold()] for f in folders if f.casefold() in _ALIASES]
    others = [f for f in folders if f.casefold() not in {"videos", *(c.casefold() for c in CATEGORIES)}]
    return known[-1] if known else (others or [""])[-1]


class CelebDFPlusPlus(DataSetAdapter):
    """Adapter for Celeb-DF++; a scene group is the person of the base clip within a split."""

    def read(self, root: Path) -> Findings:
        """Read the three folders, and the split from the list of test videos."""
        tree = find_tree(root, has_categories, self.title)
        if tree is None:
            earlier = find_tree(root, has_folders, "Celeb-DF")
            if earlier is not None:
                raise DataError(
                    f"{earlier} is not a tree of {self.title}: {SYNTHESIS} has none of the folders {some(CATEGORIES)}",
                    f"earlier versions are data sets of their own: dfbench prepare celeb-df-v2 --root {earlier}",
                )
            raise self.no_tree(root)
        findings = Findings(tree)
        file = find_list(tree, "early copies lacked it and the talking faces: download the data set again")
        tested = read_list(file, findings, _list_key)
        found = {key for folder in (CELEB, YOUTUBE) for key in self._reals(findings, folder, tested)}
        found |= self._fakes(findings, tested)
        self._compare(findings, file.name, tested, found)
        return findings

    def _reals(self, findings: Findings, folder: str, tested: dict[ListKey, int]) -> set[ListKey]:
        location = child(findings.tree, folder)
        found: set[ListKey] = set()
        if location is None:
            return found
        location = with_videos(location)
        where = location.relative_to(findings.tree).as_posix()
        for inside, files in walk(location):
            for entry in clips_first(files):
                name, path = stem(entry.name), join(join(where, inside), entry.name)
                people = parse_name(name, folder)
                if inside or not may_be_media(entry.name) or not NAMES[folder].match(name):
                    findings.exclude(NOT_A_CLIP, path)
                    continue
                key = folder, "", name
                split: Split = "test" if key in tested else "train"
                group = name if people is None else f"{split}/{people.target}"
                target = people.target if people else None
                if findings.add(self._media("real", name, split, path, group, FakeOrigin(target or "", None, ""))):
                    found.add(key)
        return found

    def _fakes(self, findings: Findings, tested: dict[ListKey, int]) -> set[ListKey]:
        location = child(findings.tree, SYNTHESIS)
        assert location is not None, "the tree was recognised by this folder"
        where = location.relative_to(findings.tree).as_posix()
        found: set[ListKey] = set()
        unparsed: list[str] = []
        for inside, files in walk(location):
            method = _method_of(inside.split("/")) if inside else ""
            for entry in clips_first(files):
                name, path = stem(entry.name), join(join(where, inside), entry.name)
                if not method or not may_be_media(entry.name):
                    findings.exclude(NOT_A_CLIP, path)
                    continue
                key = SYNTHESIS, method, name
                split: Split = "test" if key in tested else "train"
                origin = parse_fake(name)
                if origin is None:
                    unparsed.append(path)
                group = f"{split}/{origin.target}" if origin else f"{method}/{name}"
                if findings.add(self._media(method, name, split, path, group, origin)):
                    found.add(key)
        if unparsed:
            findings.warn(f"the names of {len(unparsed)} fakes do not tell their real clip: {some(unparsed)}")
        return found

    def _media(
        self, manipulation: str, name: str, split: Split, path: str, group: str, origin: FakeOrigin | None
    ) -> Media:
        fake = manipulation != "real"
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=manipulation,
            name=name,
            label=FAKE if fake else REAL,
            split=split,
            scene_group=f"{self.name}/{group}",
            path=path,
            identity_target=(origin.target or None) if origin else None,
            identity_source=origin.source if origin else None,
            base_media_id=f"{self.name}/all/real/{origin.base}" if origin and fake else None,
        )

    def _compare(self, findings: Findings, file: str, tested: dict[ListKey, int], found: set[ListKey]) -> None:
        for method, number in TEST_FAKES.items():
            findings.expect(("all", "test", "fake", method), number)
        findings.expect(("all", "test", "real", "real"), TEST_REALS)
        findings.expect(("all", "train", "real", "real"), REALS - TEST_REALS)
        reals = sum(folder != SYNTHESIS for folder, *_ in tested)
        fakes = Counter(method for folder, method, _ in tested if folder == SYNTHESIS)
        if (reals, fakes) != (TEST_REALS, Counter(TEST_FAKES)):
            findings.warn(
                f"{file} names {reals} real and {fakes.total()} fake clips, the published list names {TEST_REALS} and "
                f"{sum(TEST_FAKES.values())}: results are not comparable with published ones"
            )
        warn_of_shared_clips(findings)
        absent = sorted("/".join(filter(None, key)) for key in tested if key not in found)
        if absent:
            findings.warn(f"{len(absent)} clips of {file} were not found: {some(absent)}")
        methods = {method for _, method, _ in found if method}
        lacking = [method for method in METHODS if method not in methods]
        if lacking:
            findings.warn(f"{len(lacking)} of {len(METHODS)} methods have no clips: {some(lacking)}")
        unknown = sorted(methods - set(METHODS))
        if unknown:
            findings.warn(f"folders that are not published methods: {some(unknown)}")


def _list_key(folder: str, inside: Sequence[str]) -> ListKey | None:
    *folders, file = inside
    if folder == SYNTHESIS:
        # The list of version 2 has no folders of methods.
        return folder, _method_of(folders) or ORIGINAL, stem(file)
    return folder, "", stem(file)


CELEB_DF_PP = CelebDFPlusPlus(
    name="celeb-df++",
    title="Celeb-DF++",
    licence="terms of the owners (research, no redistribution); the crops fall under the same terms",
    access="see https://github.com/OUC-VAS/Celeb-DF-PP",
    citation=(
        "Li et al., Celeb-DF++: A Large-scale Challenging Video DeepFake Benchmark for Generalizable Forensics, "
        "arXiv 2507.18015, 2025"
    ),
    layout=(
        "the layout is Celeb-real/id0_0000.mp4, YouTube-real/00000.mp4, "
        "Celeb-synthesis/FaceSwap|FaceReenact|TalkingFace/METHOD/id0_id1_0000.mp4 "
        f"and {LIST_NAME}"
    ),
    manipulations=METHODS,
    evidence="verified: tree, methods, numbers of the test list; quoted: names; open: flag of the list, fakes in train",
)
