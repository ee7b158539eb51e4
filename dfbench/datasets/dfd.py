"""DeepFakeDetection (Google and Jigsaw), which is distributed in FaceForensics++'s tree.

Source: the FaceForensics repository's ``dataset/README.md``: a real clip is ``ACTOR__SCENE``, a fake
``TARGET_SOURCE__SCENE__ID`` with a double underscore between the parts; the id tells repeated recordings apart.
There is no official split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, DataSet, Finds
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
class Name:
    """A file name that parses.

    Attributes:
        target: the actor who is seen.
        scene: what the actor does.
        source: the actor whose face was put in; None for a real clip.
        take: tells apart several recordings of one pair; None for a real clip.
    """

    target: str
    scene: str
    source: str | None = None
    take: str | None = None

    @property
    def base(self) -> str:
        """Name of the real clip."""
        return f"{self.target}__{self.scene}"

    @property
    def name(self) -> str:
        """The clip's name."""
        return self.base if self.source is None else f"{self.target}_{self.source}__{self.scene}__{self.take}"


def parse_name(file_name: str, real: bool) -> Name | None:
    """Parse a file name, of a real clip or of a fake; None if it is not one.

    >>> parse_name("01_02__exit_phone_room__YVGY8LOK.mp4", real=False)
    Name(target='01', scene='exit_phone_room', source='02', take='YVGY8LOK')
    """
    match = (_REAL if real else _FAKE).match(file_name)
    return None if match is None else Name(**match.groupdict())


class DeepFakeDetection(DataSet):
    """Adapter for DFD: all clips are ``test``; a scene group is an actor in a scene, with everything made of it."""

    def read(self, root: Path) -> Finds:
        """Read the official tree, or the fakes that the flat copy of FaceForensics++ holds."""
        tree = find_tree(root, _is_official, self.title)
        if tree is not None:
            return self._official(tree)
        tree = find_tree(root, lambda folder: child(folder, METHOD) is not None, self.title)
        if tree is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        self._folder(finds, child(tree, METHOD), "c23", FAKE)
        _expect(finds, "c23")
        finds.warn(
            f"{tree} is the flat copy of FaceForensics++: it has part of {self.title}'s fakes and none of its reals; "
            "AUC and the like have no value on one class"
        )
        return finds

    def _official(self, tree: Path) -> Finds:
        finds = Finds(tree)
        for subset in self.subsets:
            for folder in _FOLDERS[subset]:
                real, fake = descend(tree, *_REALS, folder), descend(tree, *_FAKES, folder)
                self._folder(finds, real, subset, REAL)
                self._folder(finds, fake, subset, FAKE)
        for subset in sorted({m.subset for m in finds.media.values()}):
            _expect(finds, subset)
            labels = {m.label for m in finds.media.values() if m.subset == subset}
            if len(labels) == 1:
                finds.warn(f"subset {subset} has {'fakes' if FAKE in labels else 'reals'} only")
        return finds

    def _folder(self, finds: Finds, folder: Path | None, subset: str, label: int) -> None:
        if folder is None:
            return
        place = with_videos(folder)
        where = place.relative_to(finds.tree).as_posix()
        for entry in clips_first(entries(place)):
            path = f"{where}/{entry.name}"
            usable = entry.is_file() and may_be_media(entry.name)
            found = parse_name(entry.name, label == REAL) if usable else None
            if found is None:
                finds.leave_out(NOT_A_CLIP, path)
            else:
                finds.add(self._media(found, subset, path))

    def _media(self, found: Name, subset: str, path: str) -> Media:
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


def _expect(finds: Finds, subset: str) -> None:
    finds.expect((subset, "test", "real", "real"), PUBLISHED_REAL)
    finds.expect((subset, "test", "fake", METHOD), PUBLISHED_FAKE)


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
)
