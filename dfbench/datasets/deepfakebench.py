"""Crops and JSON files that DeepfakeBench made: folders of PNG face crops, one folder per video.

Known losses and duplicates are reported: ``val`` is never used (it repeats train or test), a video in train and test
counts as test, and Celeb-DF's JSON lacks one of its two folders of reals in train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from dfbench.datasets import celebdf, dfd, ffpp_pairs
from dfbench.datasets.base import DataSetAdapter, Findings, some
from dfbench.datasets.deepfakebench_json import JsonVideo, read_videos
from dfbench.datasets.ffpp_pairs import ClipPairs, official_pairs
from dfbench.datasets.layout import extension, find_tree, is_image
from dfbench.datasets.tree import descend, entries, subfolders
from dfbench.schema.media import REAL, Media, Split
from dfbench.untrusted import is_relative

JSON_FOLDERS = ((), ("dataset_json",), ("preprocessing", "dataset_json"), ("datasets", "dataset_json"))
IMAGE_FOLDERS = (("datasets", "rgb"), ("rgb",), ("datasets",), ())
OTHER_JSON = "a JSON file that is not DeepfakeBench's"
ONLY_VAL = "only in the val split of a JSON file, which repeats other splits"
NO_FRAMES = "a video without frames"
OUTSIDE = "frames whose path leads outside, or into several folders"
# Numbers of videos in DeepfakeBench's README; 890 is that of the data set itself.
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
class VideoOrigin:
    """Scene group and people in a video's name; empty or None if the name does not contain them."""

    group: str = ""
    target: str | None = None
    source: str | None = None
    base: str | None = None


@dataclass
class _Locator:
    """Finds the folders that JSON files name with the absolute paths of the machine they were made on."""

    tree: Path
    bases: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    @classmethod
    def of(cls, tree: Path) -> _Locator:
        folders = [f for names in IMAGE_FOLDERS if (f := descend(tree, *names)) is not None]
        return cls(tree, [(f.relative_to(tree).as_posix(), frozenset(subfolders(f))) for f in folders])

    def find(self, folder: str) -> tuple[str, int] | None:
        """Return the path relative to the tree and the number of images; None if no such folder has images."""
        parts = folder.split("/")
        for base, names in self.bases:
            for n, part in enumerate(parts):
                if part in names:
                    path = "/".join(parts[n:]) if base == "." else "/".join((base, *parts[n:]))
                    number = sum(is_image(e.name) for e in entries(self.tree / path))
                    if number:
                        return path, number
        return None


class DeepfakeBench(DataSetAdapter):
    """Adapter for DeepfakeBench's crops; a subset is a data set with its compression: ``FaceForensics++_c23``."""

    def read(self, root: Path) -> Findings:
        """Read all JSON files, then find the folders that they name."""
        tree = find_tree(root, lambda folder: bool(_json_files(folder)), self.title)
        if tree is None:
            raise self.no_tree(root)
        findings = Findings(tree)
        videos: list[JsonVideo] = []
        for file in _json_files(tree):
            found = read_videos(file)
            if found is None:
                findings.exclude(OTHER_JSON, file.relative_to(tree).as_posix())
            else:
                videos += found
        chosen = _choose(findings, videos)
        locator = _Locator.of(tree)
        absent, shorter = [], []
        for video in chosen:
            label = "real" if video.label == REAL else "fake"
            findings.expect((video.subset, video.split, label, video.manipulation), 1)
            folder = _folder(video)
            if not video.frames:
                findings.exclude(NO_FRAMES, _shown(video))
            elif folder is None:
                findings.exclude(OUTSIDE, _shown(video))
            elif (found_folder := locator.find(folder)) is None:
                absent.append(_shown(video))
            else:
                path, number = found_folder
                if number != len(video.frames):
                    shorter.append(f"{_shown(video)} ({number} for {len(video.frames)})")
                findings.add(self._media(video, path))
        if absent:
            findings.warn(f"{len(absent)} videos have no folder with images: {some(absent)}")
        if shorter:
            findings.warn(
                f"{len(shorter)} folders have another number of images than in the JSON file: {some(shorter)}"
            )
        _warn_about_losses(findings, chosen)
        return findings

    def source_of(self, subset: str, name: str) -> str | None:
        """Return the real clip that the second number of a fake's name stands for, in FaceForensics++ alone."""
        clip = ffpp_pairs.parse_name(f"{name}.png", real=False) if subset.startswith("FaceForensics++") else None
        return None if clip is None else f"{self.name}/{subset}/real/{clip.source}"

    def _media(self, video: JsonVideo, path: str) -> Media:
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
            source_media_id=None if video.label == REAL else self.source_of(video.subset, video.name),
        )


def _json_files(tree: Path) -> list[Path]:
    out = []
    for names in JSON_FOLDERS:
        folder = descend(tree, *names)
        if folder is not None:
            # train.json, val.json and test.json are FaceForensics++'s lists of pairs.
            out += [
                Path(e.path)
                for e in entries(folder)
                if e.is_file() and extension(e.name) == "json" and e.name not in _SPLIT_FILES
            ]
    return out


_SPLIT_FILES = ("train.json", "val.json", "test.json")


def _choose(findings: Findings, videos: Iterable[JsonVideo]) -> list[JsonVideo]:
    """Return one entry per video: test takes precedence over train, and ``val`` is not used."""
    ordered = sorted(videos, key=lambda v: ("test", "train", "val").index(v.split))
    chosen: dict[tuple[str, str, str], JsonVideo] = {}
    doubled: Counter[str] = Counter()
    for video in ordered:
        if video.split == "val":
            if video.key not in chosen:
                findings.exclude(ONLY_VAL, _shown(video))
            continue
        first = chosen.setdefault(video.key, video)
        if first.split != video.split:
            doubled[video.subset] += 1
    for subset, number in sorted(doubled.items()):
        findings.warn(
            f"{subset}: {number} videos are in both train and test; they were assigned to test "
            "(DeepfakeBench trains on them)"
        )
    return list(chosen.values())


def _folder(video: JsonVideo) -> str | None:
    folders = {frame.rpartition("/")[0] for frame in video.frames}
    if len(folders) != 1:
        return None
    # Leading folders are dropped, so an absolute path is harmless, but '..' is not.
    (folder,) = folders
    parts = folder.strip("/").split("/")
    inside = "/".join(parts[1:] if parts[0].endswith(":") else parts)
    return inside if is_relative(inside) else None


def _shown(video: JsonVideo) -> str:
    return f"{video.file}: {video.subset}/{video.manipulation}/{video.split}/{video.name}"


@cache
def _pairs() -> ClipPairs:
    return official_pairs()


def _origin(video: JsonVideo) -> VideoOrigin:
    real = video.label == REAL
    if video.family == "FaceForensics++":
        clip = ffpp_pairs.parse_name(f"{video.name}.png", real)
        if clip is None:
            return VideoOrigin()
        pair = _pairs().by_clip.get(clip.target) if real else _pairs().of_fake(clip.target, clip.source or "")
        return VideoOrigin(pair.group if pair else "", clip.target, clip.source, clip.target)
    if video.family == "DeepFakeDetection":
        name = dfd.parse_name(f"{video.name}.png", real)
        return VideoOrigin() if name is None else VideoOrigin(name.base, name.target, name.source, name.base)
    if video.family.startswith("Celeb-DF"):
        folder = celebdf.CELEB if real else celebdf.SYNTHESIS
        people = celebdf.parse_name(video.name, folder)
        return (
            VideoOrigin() if people is None else VideoOrigin(people.target, people.target, people.source, people.base)
        )
    return VideoOrigin()


def _warn_about_losses(findings: Findings, chosen: Iterable[JsonVideo]) -> None:
    by_family: dict[tuple[str, str], list[JsonVideo]] = {}
    for video in chosen:
        by_family.setdefault((video.subset, video.family), []).append(video)
    for (subset, family), videos in sorted(by_family.items()):
        counts = Counter("real" if v.label == REAL else "fake" for v in videos)
        counts["test"] = sum(v.split == "test" for v in videos)
        real, fake = PUBLISHED.get(family, (None, None))
        published = (("real", real), ("fake", fake), ("test", PUBLISHED_TEST.get(family)))
        short = [f"{counts[word]} of {n} {word} videos" for word, n in published if n is not None and counts[word] < n]
        if short:
            findings.warn(f"{subset}: the JSON files name {', '.join(short)}")
        if family.startswith("Celeb-DF"):
            reals = [v.name.isdigit() for v in videos if v.label == REAL and v.split == "train"]
            lost = [name for name, digits in (("Celeb-real", False), ("YouTube-real", True)) if digits not in reals]
            if lost:
                findings.warn(
                    f"{subset}: train contains no clips of {' and '.join(lost)}: DeepfakeBench overwrites one folder "
                    "of reals with the other, so these clips are missing from every train split of this file"
                )


DEEPFAKEBENCH = DeepfakeBench(
    name="deepfakebench",
    title="DeepfakeBench crops",
    licence="CC BY-NC 4.0 for DeepfakeBench's files; the data keep the terms of their owners",
    access="crops and JSON files at https://github.com/SCLBD/DeepfakeBench, or made with it",
    citation="Yan et al., DeepfakeBench: A Comprehensive Benchmark of Deepfake Detection, NeurIPS 2023",
    layout=(
        "the layout is dataset_json/NAME.json (or in the root, or in preprocessing/) beside rgb/NAME/... "
        "(or datasets/rgb/NAME/...), as in DeepfakeBench"
    ),
    subsets=(),
    evidence="verified: JSON files, label_dict, folders; quoted: classes of later data sets",
)
