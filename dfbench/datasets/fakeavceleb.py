"""FakeAVCeleb: clips whose images, sound or both are forged.

The layout is quoted from other projects: ``CATEGORY/RACE/GENDER/ID/NAME.mp4`` with four categories, and
``meta_data.csv`` with the methods. **What is fake depends on the question**: clips of ``RealVideo-FakeAudio`` show real
faces. The data set ``fakeavceleb`` labels the images only, ``fakeavceleb-av`` labels a clip as fake if its images or
its sound are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings, some
from dfbench.datasets.label_lists import given, normal
from dfbench.datasets.layout import clips_first, find_file, find_tree, join, may_be_media, stem, walk
from dfbench.datasets.text_files import csv_rows
from dfbench.datasets.tree import subfolders
from dfbench.schema.media import FAKE, REAL, Media

CSV_NAME = "meta_data.csv"
METHODS = ("faceswap", "fsgan", "wav2lip", "rtvc", "faceswap-wav2lip", "fsgan-wav2lip")
UNKNOWN = "fake"
# Clips per (images are real, sound is real).
PUBLISHED = {(True, True): 500, (True, False): 500, (False, True): 9_709, (False, False): 10_835}
SUBSETS = ("real-audio", "fake-audio")
_CATEGORY = re.compile(r"^(?P<video>real|fake)[ _-]?video[ _-]+(?P<audio>real|fake)[ _-]?audio$", re.IGNORECASE)


@dataclass(frozen=True)
class ClipCategory:
    """Which parts of a clip are real."""

    video: bool
    audio: bool

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{'Real' if self.video else 'Fake'}Video-{'Real' if self.audio else 'Fake'}Audio"


@dataclass(frozen=True)
class ClipOrigin:
    """What the CSV file says of a clip: the method, and the person whose face was used."""

    method: str
    source: str | None


def parse_category(folder: str) -> ClipCategory | None:
    """Parse the name of a folder; return None if it is not that of a category.

    >>> parse_category("RealVideo-FakeAudio")
    ClipCategory(video=True, audio=False)
    """
    match = _CATEGORY.match(folder)
    if match is None:
        return None
    return ClipCategory(match["video"].casefold() == "real", match["audio"].casefold() == "real")


@dataclass(frozen=True)
class FakeAVCeleb(DataSetAdapter):
    """Adapter for FakeAVCeleb: all clips are ``test``; a scene group is a person with all fakes made from them.

    Attributes:
        with_audio: a clip is fake if its images or its sound are, instead of its images only.
    """

    with_audio: bool = False

    def read(self, root: Path) -> Findings:
        """Read the folders of the categories, and the methods from the CSV file."""
        tree = find_tree(root, lambda folder: any(map(parse_category, subfolders(folder))), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        file = find_file(tree, CSV_NAME)
        origins = _read_origins(file, findings) if file is not None else {}
        left = set(origins)
        for folder in subfolders(tree):
            category = parse_category(folder)
            if category is None:
                findings.exclude("a folder that is not a category", folder)
                continue
            for where, files in walk(tree / folder, folder):
                for entry in clips_first(files):
                    path = join(where, entry.name)
                    key = _key(category, where.rpartition("/")[2], entry.name)
                    left.discard(key)
                    if may_be_media(entry.name) and len(where.split("/")) > 1:
                        findings.add(self._media(category, path, origins.get(key)))
                    else:
                        findings.exclude(NOT_A_CLIP, path)
        self._compare(findings, file, sorted("/".join(key) for key in left))
        return findings

    def _media(self, category: ClipCategory, path: str, origin: ClipOrigin | None) -> Media:
        folders, file = path.split("/")[1:-1], stem(path.rpartition("/")[2])
        fake = not category.video or (self.with_audio and not category.audio)
        person = "/".join(folders)
        base = f"{self.name}/real-audio/real/{ClipCategory(True, True).name}/{person}/{file.split('_')[0]}"
        derived = not (category.video and category.audio)
        return Media(
            dataset=self.name,
            subset=SUBSETS[0] if category.audio else SUBSETS[1],
            manipulation=(origin.method if origin else UNKNOWN) if fake else "real",
            name=f"{category.name}/{person}/{file}",
            label=FAKE if fake else REAL,
            split="test",
            scene_group=f"{self.name}/{person}",
            path=path,
            identity_target=folders[-1],
            identity_source=origin.source if origin and derived else None,
            base_media_id=base if fake else None,
        )

    def _compare(self, findings: Findings, file: Path | None, absent: list[str]) -> None:
        real_audio, fake_audio = SUBSETS
        findings.expect((real_audio, "test", "real", "real"), PUBLISHED[True, True])
        if not self.with_audio:
            findings.expect((fake_audio, "test", "real", "real"), PUBLISHED[True, False])
        counts = dict.fromkeys(PUBLISHED, 0)
        for media in findings.media.values():
            found = parse_category(media.name.split("/")[0])
            if found is not None:
                counts[found.video, found.audio] += 1
        off = [
            f"{ClipCategory(*category).name} {counts[category]} (published {number})"
            for category, number in PUBLISHED.items()
            if counts[category] != number
        ]
        if off:
            findings.warn(f"the numbers of clips differ from the published ones: {', '.join(off)}")
        if file is None:
            findings.warn(f"there is no {CSV_NAME}, so the methods are unknown: all fakes have the method {UNKNOWN!r}")
        if absent:
            findings.warn(f"{len(absent)} clips of {CSV_NAME} were not found: {some(absent)}")
        if not self.with_audio and counts[True, False]:
            findings.warn(
                f"{counts[True, False]} clips with forged sound and real images are labelled real (subset "
                f"{fake_audio}); fakeavceleb-av labels them fake"
            )


def _key(category: ClipCategory, person: str, file: str) -> tuple[str, str, str]:
    return category.name, normal(person).casefold(), normal(file).casefold()


def _read_origins(file: Path, findings: Findings) -> dict[tuple[str, str, str], ClipOrigin]:
    """Return (category, person, file name) -> method and person used; the names of race folders are not compared."""
    out: dict[tuple[str, str, str], ClipOrigin] = {}
    doubtful = 0
    for _, row in csv_rows(file, ("source", "method", "path")):
        category = next((c for c in map(parse_category, _parts_of(row)) if c is not None), None)
        person, method = given(row["source"]), given(row["method"])
        if category is None or person is None or method is None:
            doubtful += 1
            continue
        target = given(row.get("target1"))
        key = _key(category, person, row["path"].replace("\\", "/").rpartition("/")[2])
        # In release files "-" stands for no person.
        origin = ClipOrigin(method.casefold(), None if target in (None, "-") else target)
        if out.setdefault(key, origin).method != origin.method:
            doubtful += 1
    if doubtful:
        findings.warn(f"{doubtful} rows of {file.name} were not used: no category, person or method, or two methods")
    return out


def _parts_of(row: Mapping[str, str]) -> list[str]:
    return [part for value in row.values() for part in value.replace("\\", "/").split("/")]


_LICENCE = "terms of the owners (research, no redistribution); the crops fall under the same terms"
_ACCESS = "request form, see https://github.com/DASH-Lab/FakeAVCeleb"
_CITATION = (
    "Khalid et al., FakeAVCeleb: A Novel Audio-Video Multimodal Deepfake Dataset, NeurIPS 2021 (data sets track)"
)
_LAYOUT = (
    "the layout is FakeVideo-RealAudio/African/men/id00076/00109_1.mp4 (categories RealVideo-RealAudio, "
    f"RealVideo-FakeAudio, FakeVideo-RealAudio, FakeVideo-FakeAudio) and {CSV_NAME} for the methods"
)
_EVIDENCE = "quoted: tree, categories, columns, numbers; open: other columns of the CSV file"
FAKEAVCELEB = FakeAVCeleb(
    "fakeavceleb", "FakeAVCeleb (images)", _LICENCE, _ACCESS, _CITATION, _LAYOUT,
    subsets=SUBSETS, evidence=_EVIDENCE,
)  # fmt: skip
FAKEAVCELEB_AV = FakeAVCeleb(
    "fakeavceleb-av", "FakeAVCeleb (images or sound)", _LICENCE, _ACCESS, _CITATION, _LAYOUT,
    subsets=SUBSETS, evidence=_EVIDENCE, with_audio=True,
)  # fmt: skip
