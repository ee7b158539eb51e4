"""DeepFakeDetection (Google and Jigsaw), which is distributed in FaceForensics++'s tree.

Source: the FaceForensics repository's ``dataset/README.md``: a real clip is ``ACTOR__SCENE``, a fake
``TARGET_SOURCE__SCENE__ID`` with a double underscore between the parts; the id distinguishes repeated recordings.
There is no official split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from dfbench.datasets.base import NOT_A_CLIP, DataSetAdapter, Findings
from dfbench.datasets.ffpp import mask_videos
from dfbench.datasets.frame_folders import add_frames, find_frames, warn_of_frames
from dfbench.datasets.layout import clips_first, find_tree, may_be_media, with_videos
from dfbench.datasets.tree import child, descend, entries
from dfbench.schema.media import FAKE, REAL, Media

METHOD = "DeepFakeDetection"
PUBLISHED_REAL, PUBLISHED_FAKE = 363, 3068
_REAL = re.compile(r"^(?P<target>[0-9]{2})__(?P<scene>[a-z_]+)\.[A-Za-z0-9]{2,4}$")
_FAKE = re.compile(
    r"^(?P<target>[0-9]{2})_(?P<source>[0-9]{2})__(?P<scene>[a-z_]+)__(?P<take>[A-Z0-9]{8})\.[A-Za-z0-9]{2,4}$"
)
_FOLDERS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
_REALS = ("original_sequences", "actors")
_FAKES = ("manipulated_sequences", METHOD)


@dataclass(frozen=True)
class DfdName:
    """A parsed file name.

    Attributes:
        target: the actor shown.
        scene: what the actor does.
        source: the actor whose face was inserted; None for a real clip.
        take: distinguishes several recordings of one pair; None for a real clip.
    """

    target: str
    scene: str
    source: str | None = None
    take: str | None = None

    @property
    def base(self) -> str:
        """DfdName of the real clip."""
        return f"{self.target}__{self.scene}"

    @property
    def name(self) -> str:
        """The clip's name."""
        return self.base if self.source is None else f"{self.target}_{self.source}__{self.scene}__{self.take}"


def parse_name(file_name: str, real: bool) -> DfdName | None:
    """Parse the file name of a real clip or of a fake; return None if it is not one.

    >>> parse_name("01_02__exit_phone_room__YVGY8LOK.mp4", real=False)
    DfdName(target='01', scene='exit_phone_room', source='02', take='YVGY8LOK')
    """
    match = (_REAL if real else _FAKE).match(file_name)
    return None if match is None else DfdName(**match.groupdict())


class DeepFakeDetection(DataSetAdapter):
    """Adapter for DFD: all clips are ``test``; a scene group is an actor in a scene and everything made from it."""

    def read(self, root: Path) -> Findings:
        """Read the official tree, or the fakes in the flat copy of FaceForensics++."""
        tree = find_tree(root, _is_official, self.title)
        if tree is not None:
            return self._official(tree)
        tree = find_tree(root, lambda folder: child(folder, METHOD) is not None, self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        self._folder(findings, child(tree, METHOD), "c23", FAKE)
        _expect(findings, "c23")
        findings.warn(
            f"{tree} is the flat copy of FaceForensics++: it contains some of {self.title}'s fakes and none of its "
            "reals; AUC and similar metrics are undefined for a single class"
        )
        return findings

    def _official(self, tree: Path) -> Findings:
        findings = Findings(tree)
        masks = mask_videos(tree, descend(tree, *_FAKES))
        for subset in self.subsets:
            for folder in _FOLDERS[subset]:
                real, fake = descend(tree, *_REALS, folder), descend(tree, *_FAKES, folder)
                self._folder(findings, real, subset, REAL)
                self._folder(findings, fake, subset, FAKE, masks)
        for subset in sorted({m.subset for m in findings.media.values()}):
            _expect(findings, subset)
            labels = {m.label for m in findings.media.values() if m.subset == subset}
            if len(labels) == 1:
                findings.warn(f"subset {subset} contains only {'fakes' if FAKE in labels else 'reals'}")
        return findings

    def _folder(
        self,
        findings: Findings,
        folder: Path | None,
        subset: str,
        label: int,
        masks: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        if folder is None:
            return
        frames = find_frames(folder, lambda name: parse_name(name, label == REAL) is not None)
        if frames is not None:
            add_frames(findings, frames, lambda name, path: self._of_name(name, label, subset, path))
            warn_of_frames(findings, [frames])
            return
        location = with_videos(folder)
        where = location.relative_to(findings.tree).as_posix()
        for entry in clips_first(entries(location)):
            path = f"{where}/{entry.name}"
            usable = entry.is_file() and may_be_media(entry.name)
            found = parse_name(entry.name, label == REAL) if usable else None
            if found is None:
                findings.exclude(NOT_A_CLIP, path)
            else:
                findings.add(replace(self._media(found, subset, path), mask_path=masks.get(found.name)))

    def _of_name(self, name: str, label: int, subset: str, path: str) -> Media | None:
        found = parse_name(name, label == REAL)
        return self._media(found, subset, path) if found is not None else None

    def _media(self, found: DfdName, subset: str, path: str) -> Media:
        fake = found.source is not None
        return Media(
            dataset=self.name,
            subset=subset,
            manipulation=METHOD if fake else "real",
            name=found.name,
            label=FAKE if fake else REAL,
            split="test",
            scene_group=f"{self.name}/{found.base}",
            path=path,
            identity_target=found.target,
            identity_source=found.source,
            base_media_id=f"{self.name}/{subset}/real/{found.base}" if fake else None,
        )


def _is_official(folder: Path) -> bool:
    if descend(folder, *_REALS) is not None:
        return True
    fakes = descend(folder, *_FAKES)
    return fakes is not None


def _expect(findings: Findings, subset: str) -> None:
    findings.expect((subset, "test", "real", "real"), PUBLISHED_REAL)
    findings.expect((subset, "test", "fake", METHOD), PUBLISHED_FAKE)


DFD = DeepFakeDetection(
    name="dfd",
    title="DeepFakeDetection",
    licence="FaceForensics Terms of Use (research, no redistribution); the crops fall under the same terms",
    access="with FaceForensics++: request form at https://github.com/ondyari/FaceForensics",
    citation="Dufour and Gully, Contributing Data to Deepfake Detection Research, Google AI Blog 2019",
    layout=(
        "the layout is original_sequences/actors/c23/videos/01__exit_phone_room.mp4 and "
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit_phone_room__YVGY8LOK.mp4"
    ),
    subsets=("raw", "c23", "c40"),
    manipulations=(METHOD,),
    subset_aliases={"c0": "raw"},
    evidence="verified: tree, names, numbers; there is no official split",
)
