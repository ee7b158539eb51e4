"""Celeb-DF, version 1 and version 2.

Sources: the README files of the repository celeb-deepfakeforensics (tree, numbers, meaning of the names) and
``List_of_testing_videos.txt``, whose flag is **1 for real, 0 for fake**. Clips that are not on that list are train. The
splits share people: most fakes on the test list are made from real clips that are not on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.frame_folders import add_frames, find_frames, warn_of_frames
from dfbench.datasets.label_lists import posix
from dfbench.datasets.layout import clips_first, find_file, find_tree, may_be_media, stem, with_videos
from dfbench.datasets.text_files import read_text
from dfbench.datasets.tree import child, entries
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Media, Split

Key = TypeVar("Key", bound=tuple[str, ...])

LIST_NAME = "List_of_testing_videos.txt"
CELEB, YOUTUBE, SYNTHESIS = FOLDERS = ("Celeb-real", "YouTube-real", "Celeb-synthesis")
NAMES = {
    CELEB: re.compile(r"^id(?P<target>[0-9]+)_[0-9]{4}$"),
    YOUTUBE: re.compile(r"^[0-9]{5}$"),
    SYNTHESIS: re.compile(r"^id(?P<target>[0-9]+)_id(?P<source>[0-9]+)_(?P<clip>[0-9]{4})$"),
}
_LINE = re.compile(r"^\"?(?P<flag>[01])\"?[\s,;]+\"?(?P<path>[^\"]+)\"?$")  # also as a spreadsheet saves it
_REAL_FLAG = "1"
CATEGORIES = ("FaceSwap", "FaceReenact", "TalkingFace")  # of the methods of Celeb-DF++
V1_CLIPS = {CELEB: 158, YOUTUBE: 250, SYNTHESIS: 795}
V2_CLIPS = {CELEB: 590, YOUTUBE: 300, SYNTHESIS: 5639}
V2_TEST = {CELEB: 108, YOUTUBE: 70, SYNTHESIS: 340}


@dataclass(frozen=True)
class CelebName:
    """The people in the name of a clip of Celeb-real or Celeb-synthesis.

    Attributes:
        target: the person shown, ``id0``.
        source: the person whose face was inserted; None for a real clip.
        base: name of the real clip.
    """

    target: str
    source: str | None
    base: str


def parse_name(name: str, folder: str) -> CelebName | None:
    """Parse the name of a clip (without extension); return None if it names no person.

    >>> parse_name("id2_id37_0001", SYNTHESIS)
    CelebName(target='id2', source='id37', base='id2_0001')
    """
    match = NAMES[folder].match(name)
    if match is None or folder == YOUTUBE:
        return None
    target = f"id{match['target']}"
    if folder == CELEB:
        return CelebName(target, None, name)
    return CelebName(target, f"id{match['source']}", f"{target}_{match['clip']}")


@dataclass(frozen=True)
class CelebDF(DataSetAdapter):
    """Adapter for one version of Celeb-DF.

    Attributes:
        clips: published number of clips per folder.
        test_clips: number of these on the test list; None if it is not published.
    """

    clips: dict[str, int] = field(default_factory=dict)
    test_clips: dict[str, int] | None = None

    def read(self, root: Path) -> Findings:
        """Read the three folders, and the split from the list of test videos."""
        tree = find_tree(root, lambda folder: has_folders(folder) and not has_categories(folder), self.title)
        later = find_tree(root, has_categories, "Celeb-DF++") if tree is None else None
        if later is not None:
            raise DataError(
                f"{later} is a tree of Celeb-DF++, not of {self.title}: {SYNTHESIS} has folders of methods",
                f"dfbench prepare celeb-df++ --root {later}",
            )
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        file = find_list(tree, "the list is a part of the data set; copy it beside the three folders")
        tested = read_list(file, findings, _list_key)
        found = {folder: self._folder(findings, folder, tested) for folder in FOLDERS}
        self._expect(findings, tested)
        self._compare(findings, file.name, tested, found)
        return findings

    def _folder(self, findings: Findings, folder: str, tested: dict[tuple[str, str], int]) -> int:
        location = child(findings.tree, folder)
        if location is None:
            return 0
        frames = find_frames(location, lambda name: NAMES[folder].match(stem(name)) is not None)
        if frames is not None:
            before = len(findings.media)
            add_frames(findings, frames, lambda name, path: self._of_name(stem(name), folder, tested, path))
            warn_of_frames(findings, [frames])
            return len(findings.media) - before
        location = with_videos(location)
        where = location.relative_to(findings.tree).as_posix()
        number = 0
        for entry in clips_first(entries(location)):
            path, name = f"{where}/{entry.name}", stem(entry.name)
            usable = entry.is_file() and may_be_media(entry.name)
            media = self._of_name(name, folder, tested, path) if usable else None
            if media is None:
                findings.exclude(NOT_A_CLIP, path)
            else:
                number += findings.add(media)
        return number

    def _of_name(self, name: str, folder: str, tested: dict[tuple[str, str], int], path: str) -> Media | None:
        if not NAMES[folder].match(name):
            return None
        return self._media(name, folder, "test" if (folder, name) in tested else "train", path)

    def _media(self, name: str, folder: str, split: Split, path: str) -> Media:
        fake = folder == SYNTHESIS
        people = parse_name(name, folder)
        # The official split separates clips of the same person, so the split is a part of the group.
        group = name if people is None else f"{split}/{people.target}"
        return Media(
            dataset=self.name,
            subset="all",
            manipulation=SYNTHESIS if fake else "real",
            name=name,
            label=FAKE if fake else REAL,
            split=split,
            scene_group=f"{self.name}/{group}",
            path=path,
            identity_target=people.target if people else None,
            identity_source=people.source if people else None,
            base_media_id=f"{self.name}/all/real/{people.base}" if people and fake else None,
        )

    def _expect(self, findings: Findings, tested: dict[tuple[str, str], int]) -> None:
        for folder, number in self.clips.items():
            label = ("fake", SYNTHESIS) if folder == SYNTHESIS else ("real", "real")
            listed = sum(name == folder for name, _ in tested)
            test = listed if self.test_clips is None else self.test_clips[folder]
            findings.expect(("all", "test", *label), test)
            findings.expect(("all", "train", *label), max(0, number - test))

    def _compare(
        self, findings: Findings, file: str, tested: dict[tuple[str, str], int], found: dict[str, int]
    ) -> None:
        listed = {folder: sum(name == folder for name, _ in tested) for folder in FOLDERS}
        if self.test_clips is not None and listed != self.test_clips:
            findings.warn(_about_list(file, listed, self.test_clips))
        other = V2_CLIPS if self.clips == V1_CLIPS else V1_CLIPS
        if found == other or any(found[f] > self.clips[f] for f in FOLDERS):
            numbers = ", ".join(f"{f} {found[f]} (published {self.clips[f]})" for f in FOLDERS)
            findings.warn(
                f"the numbers of clips are not those of {self.title}: {numbers}; it may be the other version, which "
                "the tree itself does not name"
            )
        warn_of_shared_clips(findings)
        names = {(_folder_of(m), m.name) for m in findings.media.values()}
        absent = sorted(f"{folder}/{name}" for folder, name in tested if (folder, name) not in names)
        if absent:
            findings.warn(f"{len(absent)} clips of {file} were not found: {some(absent)}")


def _folder_of(media: Media) -> str:
    if media.label == FAKE:
        return SYNTHESIS
    return CELEB if media.identity_target else YOUTUBE


def warn_of_shared_clips(findings: Findings) -> None:
    """Warn if fakes of the test split were made from real clips of the train split."""
    trained = {m.media_id for m in findings.media.values() if m.label == REAL and m.split == "train"}
    fakes = [m for m in findings.media.values() if m.label == FAKE and m.split == "test"]
    shared = sum(m.base_media_id in trained for m in fakes)
    if shared:
        findings.warn(
            f"{shared} of {len(fakes)} fakes of the test split were made from real clips of the train split: "
            "results of training and testing on this data set are too optimistic"
        )


def has_folders(folder: Path) -> bool:
    """Whether a folder contains one of the three folders of Celeb-DF."""
    return any(child(folder, name) is not None for name in FOLDERS)


def has_categories(folder: Path) -> bool:
    """Whether the fakes are in folders of categories of methods, as in Celeb-DF++."""
    fakes = child(folder, SYNTHESIS)
    return fakes is not None and any(child(fakes, name) is not None for name in CATEGORIES)


def _list_key(folder: str, inside: Sequence[str]) -> tuple[str, str] | None:
    name = stem(inside[-1])
    return (folder, name) if NAMES[folder].match(name) else None


def find_list(tree: Path, hint: str) -> Path:
    """Return the list of test videos of a tree.

    Raises:
        DataError: it is missing; the hint says where to get it.
    """
    file = find_file(tree, LIST_NAME)
    if file is None:
        raise DataError(f"{tree} has no {LIST_NAME}, so train and test cannot be distinguished", hint)
    return file


def read_list(file: Path, findings: Findings, key_of: Callable[[str, Sequence[str]], Key | None]) -> dict[Key, int]:
    """Return key -> line number of all clips on the list of test videos.

    Args:
        file: the list.
        findings: gets a warning for every duplicate.
        key_of: returns the key of a clip, given one of the three folders and the parts of its path below; None if it is
            not the path of a clip.

    Raises:
        DataError: a line is not an entry or its flag contradicts its folder, or the list is empty.
    """
    by_case = {name.casefold(): name for name in FOLDERS}
    tested: dict[Key, int] = {}
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.match(line.strip())
        parts = posix(match["path"]).split("/") if match else []
        at = next((n for n in reversed(range(len(parts) - 1)) if parts[n].casefold() in by_case), None)
        folder = by_case[parts[at].casefold()] if at is not None else ""
        key = key_of(folder, parts[at + 1 :]) if at is not None else None
        if match is None or key is None:
            raise DataError(
                f"{file}, line {number}: not an entry of the list: {line.strip()!r}",
                "the format is: 1 YouTube-real/00170.mp4, with 1 = real and 0 = fake",
            )
        if (match["flag"] == _REAL_FLAG) != (folder != SYNTHESIS):
            raise DataError(
                f"{file}, line {number}: the flag contradicts the folder: {line.strip()!r}",
                "in this list 1 is real and 0 is fake; use the list of the original download",
            )
        if key in tested:
            findings.warn(f"{file.name}, line {number}: {'/'.join(key)} is a duplicate of line {tested[key]}")
        else:
            tested[key] = number
    if not tested:
        raise DataError(f"{file} is empty", "use the list of the original download")
    return tested


def _about_list(file: str, listed: dict[str, int], published: dict[str, int]) -> str:
    total, official = sum(listed.values()), sum(published.values())
    real, fake = listed[CELEB] + listed[YOUTUBE], listed[SYNTHESIS]
    text = f"{file} names {total} clips ({real} real, {fake} fake), the published list names {official}"
    if listed == {**published, YOUTUBE: 0}:
        return f"{text}: this is the edited copy without the {published[YOUTUBE]} YouTube-real clips"
    if real == 178 and fake == 5240:
        return f"{text}: this looks like the list of a later version"
    return f"{text}; results are not comparable with published ones"


_LICENCE = "Terms to Use Celeb-DF (research, no redistribution); the crops fall under the same terms"
_ACCESS = "request form at https://github.com/yuezunli/celeb-deepfakeforensics"
_CITATION = "Li et al., Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics, CVPR 2020"
_LAYOUT = (
    "the layout is Celeb-real/id0_0000.mp4, YouTube-real/00000.mp4, Celeb-synthesis/id0_id1_0000.mp4 "
    f"and {LIST_NAME}; each of the three folders may have its clips in a subfolder videos/"
)
CELEB_DF_V1 = CelebDF(
    "celeb-df-v1", "Celeb-DF v1", _LICENCE, _ACCESS, _CITATION, _LAYOUT,
    manipulations=(SYNTHESIS,), clips=V1_CLIPS,
    evidence="verified: tree, names, numbers; open: number of entries of the list",
)  # fmt: skip
CELEB_DF_V2 = CelebDF(
    "celeb-df-v2", "Celeb-DF v2", _LICENCE, _ACCESS, _CITATION, _LAYOUT,
    manipulations=(SYNTHESIS,), clips=V2_CLIPS, test_clips=V2_TEST,
    evidence="verified: tree, names, numbers, list and its flag",
)  # fmt: skip
