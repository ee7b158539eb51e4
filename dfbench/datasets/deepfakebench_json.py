"""The JSON files of DeepfakeBench: class -> split -> (compression ->) video -> label and frames.

Sources: DeepfakeBench's ``preprocessing/rearrange.py``, ``training/dataset/abstract_dataset.py`` and the
``label_dict`` of ``training/config/test_config.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.datasets.label_lists import json_object, place_in, posix
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL

# Class -> manipulation; "real" where the class is one of reals. This is DeepfakeBench's label_dict.
CLASSES: dict[str, str] = {
    "FF-real": "real",
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
    "FF-SH": "FaceShifter",
    "DFD_real": "real",
    "DFD_fake": "DeepFakeDetection",
    "CelebDFv1_real": "real",
    "CelebDFv1_fake": "Celeb-synthesis",
    "CelebDFv2_real": "real",
    "CelebDFv2_fake": "Celeb-synthesis",
    "DFDCP_Real": "real",
    "DFDCP_FakeA": "method_A",
    "DFDCP_FakeB": "method_B",
    "DFDC_Real": "real",
    "DFDC_Fake": "DFDC",
    "DF_real": "real",
    "DF_fake": "DeeperForensics",
    "UADFV_Real": "real",
    "UADFV_Fake": "UADFV",
    "roop_Real": "real",
    "roop_Fake": "roop",
}
# Data sets that later files of the same shape add name their classes METHOD_Real and METHOD_Fake.
_OTHER_CLASS = re.compile(r"^(?P<method>.+)_(?P<word>real|fake)$", re.IGNORECASE)
_REAL_PLACES = frozenset({"original_sequences", "celeb-real", "youtube-real", "original_videos"})
_FAKE_PLACES = frozenset({"manipulated_sequences", "celeb-synthesis", "method_a", "method_b"})
_FF_FAMILY = re.compile(r"^(FaceForensics\+\+|FF-(DF|F2F|FS|NT|FH|SH)|FaceShifter)$")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Video:
    """One entry.

    Attributes:
        file: the JSON file's name.
        family: name of the data set; files on one method of FaceForensics++ count as FaceForensics++.
        compression: ``c23``, ...; empty where the file has no such level.
        manipulation: ``real`` or the method.
        split: as the file says, ``val`` included.
        name: key of the video.
        frames: paths with forward slashes, as the file has them.
    """

    file: str
    family: str
    compression: str
    manipulation: str
    split: str
    name: str
    frames: tuple[str, ...]

    @property
    def subset(self) -> str:
        """Family and compression: ``FaceForensics++_c23``, ``Celeb-DF-v2``."""
        return f"{self.family}_{self.compression}" if self.compression else self.family

    @property
    def label(self) -> int:
        """0 real, 1 fake."""
        return REAL if self.manipulation == "real" else FAKE

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes a video one."""
        return self.subset, self.manipulation, self.name


def manipulation_of(label: str) -> str | None:
    """The manipulation that a class stands for, ``real`` for reals; None for a class of unknown polarity.

    >>> manipulation_of("CelebDFv2_real"), manipulation_of("simswap_Fake"), manipulation_of("FF-XX")
    ('real', 'simswap', None)
    """
    if label in CLASSES:
        return CLASSES[label]
    match = _OTHER_CLASS.match(label)
    if match is None:
        return None
    return "real" if match["word"].casefold() == "real" else match["method"]


def is_benchmark_json(content: Mapping[str, Any]) -> bool:
    """Whether an object has the shape NAME -> class -> split."""
    if len(content) != 1:
        return False
    (classes,) = content.values()
    return isinstance(classes, Mapping) and all(
        isinstance(splits, Mapping) and bool(set(splits) & set(SPLITS)) for splits in classes.values()
    )


def read_videos(file: Path) -> list[Video] | None:
    """All entries of a file, those of ``val`` included; None if the file is something else.

    Raises:
        DataError: no JSON, an unknown class, or an entry whose label or folder contradicts its class.
    """
    content = json_object(file)
    if not is_benchmark_json(content):
        return None
    ((top, classes),) = content.items()
    family = "FaceForensics++" if _FF_FAMILY.match(top) else top
    out = []
    for label, splits in classes.items():
        manipulation = manipulation_of(label)
        if manipulation is None:
            raise DataError(
                f"{place_in(file, label)}: class {label!r} is not in DeepfakeBench's label_dict, so that nothing says "
                "whether it is real or fake",
                "name the class METHOD_Real or METHOD_Fake, or leave the file away",
            )
        for split in SPLITS:
            for compression, name, entry in _entries(file, label, splits.get(split, {})):
                frames = _frames(file, label, name, entry)
                _check_place(file, label, name, manipulation, frames)
                out.append(Video(file.name, family, compression, manipulation, split, name, frames))
    return out


def _entries(file: Path, label: str, videos: object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(compression, video, entry); both depths of nesting."""
    if not isinstance(videos, Mapping):
        raise DataError(f"{place_in(file, label)}: a split of class {label!r} is no object")
    for key, value in videos.items():
        if not isinstance(value, Mapping):
            raise DataError(f"{place_in(file, key)}: {key!r} of class {label!r} is no object")
        if not value or "frames" in value or "label" in value:
            if value:
                yield "", key, value
            continue
        for name, entry in value.items():
            if not isinstance(entry, Mapping):
                # What DeepfakeBench's DFDC test branch writes into val: a list in place of an entry.
                continue
            yield key, name, entry


def _frames(file: Path, label: str, name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    if entry.get("label", label) != label:
        raise DataError(
            f"{place_in(file, name)}: video {name!r} has label {entry['label']!r}, but stands in class {label!r}",
            "make the file again with DeepfakeBench's rearrange.py",
        )
    frames = entry.get("frames")
    if not isinstance(frames, list) or not all(isinstance(f, str) for f in frames):
        raise DataError(f"{place_in(file, name)}: video {name!r} has no list of frames")
    return tuple(posix(f) for f in frames)


def _check_place(file: Path, label: str, name: str, manipulation: str, frames: tuple[str, ...]) -> None:
    if not frames:
        return
    folders = set(frames[0].casefold().split("/"))
    wrong = folders & (_FAKE_PLACES if manipulation == "real" else _REAL_PLACES)
    if wrong:
        raise DataError(
            f"{place_in(file, name)}: video {name!r} of class {label!r} lies in {', '.join(sorted(wrong))}",
            "make the file again with DeepfakeBench's rearrange.py",
        )
