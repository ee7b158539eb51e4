"""Crops and JSON files that DeepfakeBench made: folders of PNG face crops, one folder a video.

What is known to be lost or doubled there is told: ``val`` is never used (it repeats train or test), a video in train
and test counts as test, Celeb-DF's JSON lacks one of its two folders of reals in train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from dfbench.datasets import celebdf, dfd, ffpp_names
from dfbench.datasets.base import DataSet, Finds, some
from dfbench.datasets.deepfakebench_json import Video, read_videos
from dfbench.datasets.label_lists import is_inside
from dfbench.datasets.layout import extension, find_tree, is_image
from dfbench.datasets.pairs import Pairs, official_pairs
from dfbench.datasets.tree import descend, entries, subfolders
from dfbench.schema.media import REAL, Media, Split

JSON_PLACES = ((), ("dataset_json",), ("preprocessing", "dataset_json"), ("datasets", "dataset_json"))
IMAGE_PLACES = (("datasets", "rgb"), ("rgb",), ("datasets",), ())
OTHER_JSON = "a JSON file that is not DeepfakeBench's"
ONLY_VAL = "only in the val part of a JSON file, which is not to be trusted"
NO_FRAMES = "a video without frames"
OUTSIDE = "frames whose path leads outside, or into several folders"
# Videos as DeepfakeBench's README counts them; 890 as the data set itself does.
PUBLISHED = {
    "FaceForensics++": (1000, None),
    "DeepFakeDetection": (363, 3068),
    "DFDCP": (1131, 4119),
    "Celeb-DF-v1": (408, 795),
    "Celeb-DF-v2": (890, 5639),
    "UADFV": (49, 49),
}
PUBLISHED_TEST = {"DFDC": 5000, "Celeb-DF-v2": 518}


@dataclass(frozen=True)
class Origin:
    """What a video's name tells; empty and None where it tells nothing."""

    group: str = ""
    target: str | None = None
    source: str | None = None
    base: str | None = None


@dataclass
class _Locator:
    """Finds the folders that JSON files mean: they hold the folders of the machine they were made on."""

    tree: Path
    bases: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    @classmethod
    def of(cls, tree: Path) -> _Locator:
        places = [p for names in IMAGE_PLACES if (p := descend(tree, *names)) is not None]
        return cls(tree, [(p.relative_to(tree).as_posix(), frozenset(subfolders(p))) for p in places])

    def find(self, folder: str) -> tuple[str, int] | None:
        """Path relative to the tree, and number of images; None if there is no such folder with images."""
        parts = folder.split("/")
        for base, names in self.bases:
            for n, part in enumerate(parts):
                if part in names:
                    path = "/".join(parts[n:]) if base == "." else "/".join((base, *parts[n:]))
                    number = sum(is_image(e.name) for e in entries(self.tree / path))
                    if number:
                        return path, number
        return None


class DeepfakeBench(DataSet):
    """Adapter for DeepfakeBench's crops; a subset is a data set with its compression: ``FaceForensics++_c23``."""

    def read(self, root: Path) -> Finds:
        """Read all JSON files, then look for the folders that they name."""
        tree = find_tree(root, lambda folder: bool(_json_files(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        finds = Finds(tree)
        videos: list[Video] = []
        for file in _json_files(tree):
            found = read_videos(file)
            if found is None:
                finds.leave_out(OTHER_JSON, file.relative_to(tree).as_posix())
            else:
                videos += found
        chosen = _choose(finds, videos)
        locator = _Locator.of(tree)
        absent, shorter = [], []
        for video in chosen:
            label = "real" if video.label == REAL else "fake"
            finds.expect((video.subset, video.split, label, video.manipulation), 1)
            folder = _folder(video)
            if not video.frames:
                finds.leave_out(NO_FRAMES, _shown(video))
            elif folder is None:
                finds.leave_out(OUTSIDE, _shown(video))
            elif (place := locator.find(folder)) is None:
                absent.append(_shown(video))
            else:
                if place[1] != len(video.frames):
                    shorter.append(f"{_shown(video)} ({place[1]} for {len(video.frames)})")
                finds.add(self._media(video, place[0]))
        if absent:
            finds.warn(f"{len(absent)} videos have no folder with images: {some(absent)}")
        if shorter:
            finds.warn(f"{len(shorter)} folders hold another number of images than their JSON file: {some(shorter)}")
        _tell_losses(finds, chosen)
        return finds

    def _media(self, video: Video, path: str) -> Media:
        origin = _origin(video)
        real = f"{self.name}/{video.subset}/real"
        own = f"{video.manipulation}/{video.name}"
        return Media(
            dataset=self.name,
            subset=video.subset,
            manipulation=video.manipulation,
            name=video.name,
            label=video.label,
            split=cast(Split, video.split),
            scene_group=f"{self.name}/{video.family}/{video.split}/{origin.group or own}",
            path=path,
            identity_target=origin.target,
            identity_source=origin.source,
            base_media_id=f"{real}/{origin.base}" if origin.base and video.label != REAL else None,
            kind="sequence",
            cropped=True,
        )


def _json_files(tree: Path) -> list[Path]:
    out = []
    for names in JSON_PLACES:
        place = descend(tree, *names)
        if place is not None:
            # train.json and the like are FaceForensics++'s lists of pairs.
            out += [
                Path(e.path)
                for e in entries(place)
                if e.is_file() and extension(e.name) == "json" and e.name not in _SPLIT_FILES
            ]
    return out


_SPLIT_FILES = ("train.json", "val.json", "test.json")


def _choose(finds: Finds, videos: Iterable[Video]) -> list[Video]:
    """One entry a video: test before train, ``val`` not at all."""
    ordered = sorted(videos, key=lambda v: ("test", "train", "val").index(v.split))
    chosen: dict[tuple[str, str, str], Video] = {}
    doubled: Counter[str] = Counter()
    for video in ordered:
        if video.split == "val":
            if video.key not in chosen:
                finds.leave_out(ONLY_VAL, _shown(video))
            continue
        first = chosen.setdefault(video.key, video)
        if first.split != video.split:
            doubled[video.subset] += 1
    for subset, number in sorted(doubled.items()):
        finds.warn(
            f"{subset}: {number} videos stand in train and in test; they were taken as test "
            "(DeepfakeBench trains on them)"
        )
    return list(chosen.values())


def _folder(video: Video) -> str | None:
    folders = {frame.rpartition("/")[0] for frame in video.frames}
    if len(folders) != 1:
        return None
    # Folders of other machines are dropped, so that an absolute path is no danger, but '..' is.
    (folder,) = folders
    parts = folder.strip("/").split("/")
    inside = "/".join(parts[1:] if parts[0].endswith(":") else parts)
    return inside if is_inside(inside) else None


def _shown(video: Video) -> str:
    return f"{video.file}: {video.subset}/{video.manipulation}/{video.split}/{video.name}"


@cache
def _pairs() -> Pairs:
    return official_pairs()


def _origin(video: Video) -> Origin:
    real = video.label == REAL
    if video.family == "FaceForensics++":
        clip = ffpp_names.parse_name(f"{video.name}.png", real)
        if clip is None:
            return Origin()
        pair = _pairs().by_clip.get(clip.target) if real else _pairs().of_fake(clip.target, clip.source or "")
        return Origin(pair.group if pair else "", clip.target, clip.source, clip.target)
    if video.family == "DeepFakeDetection":
        name = dfd.parse_name(f"{video.name}.png", real)
        return Origin() if name is None else Origin(name.base, name.target, name.source, name.base)
    if video.family.startswith("Celeb-DF"):
        folder = celebdf.CELEB if real else celebdf.SYNTHESIS
        people = celebdf.parse_name(video.name, folder)
        return Origin() if people is None else Origin(people.target, people.target, people.source, people.base)
    return Origin()


def _tell_losses(finds: Finds, chosen: Iterable[Video]) -> None:
    by_family: dict[tuple[str, str], list[Video]] = {}
    for video in chosen:
        by_family.setdefault((video.subset, video.family), []).append(video)
    for (subset, family), videos in sorted(by_family.items()):
        counts = Counter("real" if v.label == REAL else "fake" for v in videos)
        counts["test"] = sum(v.split == "test" for v in videos)
        real, fake = PUBLISHED.get(family, (None, None))
        published = (("real", real), ("fake", fake), ("test", PUBLISHED_TEST.get(family)))
        short = [f"{counts[word]} of {n} {word} videos" for word, n in published if n is not None and counts[word] < n]
        if short:
            finds.warn(f"{subset}: the JSON files name {', '.join(short)}")
        if family.startswith("Celeb-DF"):
            reals = [v.name.isdigit() for v in videos if v.label == REAL and v.split == "train"]
            lost = [name for name, digits in (("Celeb-real", False), ("YouTube-real", True)) if digits not in reals]
            if lost:
                finds.warn(
                    f"{subset}: train has nothing of {' and '.join(lost)}: DeepfakeBench overwrites one folder of "
                    "reals with the other, so that those clips are in no train part made from this file"
                )


DEEPFAKEBENCH = DeepfakeBench(
    name="deepfakebench",
    title="DeepfakeBench crops",
    licence="CC BY-NC 4.0 for DeepfakeBench's files; the data keep the terms of their owners",
    access="crops and JSON files at https://github.com/SCLBD/DeepfakeBench, or made with it",
    citation="Yan et al., DeepfakeBench: A Comprehensive Benchmark of Deepfake Detection, NeurIPS 2023",
    layout=(
        "the layout is dataset_json/NAME.json (or in the root, or in preprocessing/) beside rgb/NAME/... "
        "(or datasets/rgb/NAME/...), as DeepfakeBench has it"
    ),
    subsets=(),
)
