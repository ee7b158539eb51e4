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

from dfbench.datasets.label_lists import json_object, location_in, posix
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL

# Class -> manipulation, or "real": DeepfakeBench's label_dict.
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
# Later data sets of the same format name their classes METHOD_Real and METHOD_Fake.
_OTHER_CLASS = re.compile(r"^(?P<method>.+)_(?P<word>real|fake)$", re.IGNORECASE)
_REAL_FOLDERS = frozenset({"original_sequences", "celeb-real", "youtube-real", "original_videos"})
_FAKE_FOLDERS = frozenset({"manipulated_sequences", "celeb-synthesis", "method_a", "method_b"})
_FF_FAMILY = re.compile(r"^(FaceForensics\+\+|FF-(DF|F2F|FS|NT|FH|SH)|FaceShifter)$")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class JsonVideo:
    """One video of a JSON file.

    Attributes:
        file: the JSON file's name.
        family: name of the data set; files of one method of FaceForensics++ count as FaceForensics++.
        compression: ``c23``, ...; empty if the file has no such level.
        manipulation: ``real`` or the method.
        split: the split in the file, possibly ``val``.
        name: key of the video.
        frames: paths as in the file, with forward slashes.
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
        """The values that identify a video."""
        return self.subset, self.manipulation, self.name


def manipulation_of(label: str) -> str | None:
    """Return the manipulation of a class, ``real`` for reals; None for a class of unknown polarity.

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
    """Whether an object has the structure NAME -> class -> split."""
    if len(content) != 1:
        return False
    (classes,) = content.values()
    return isinstance(classes, Mapping) and all(
        isinstance(splits, Mapping) and bool(set(splits) & set(SPLITS)) for splits in classes.values()
    )


def read_videos(file: Path) -> list[JsonVideo] | None:
    """Return all videos of a file, including ``val``; None if the file has another structure.

    Raises:
        DataError: not JSON, an unknown class, or a video whose label or folder contradicts its class.
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
                f"{location_in(file, label)}: class {label!r} is not in DeepfakeBench's label_dict, so it is unknown "
                "whether it is real or fake",
                "name the class METHOD_Real or METHOD_Fake, or remove the file",
            )
        for split in SPLITS:
            for compression, name, entry in _entries(file, label, splits.get(split, {})):
                frames = _frames(file, label, name, entry)
                _check_folder(file, label, name, manipulation, frames)
                out.append(JsonVideo(file.name, family, compression, manipulation, split, name, frames))
    return out


def _entries(file: Path, label: str, videos: object) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (compression, video, entry) for either depth of nesting."""
    if not isinstance(videos, Mapping):
        raise DataError(f"{location_in(file, label)}: a split of class {label!r} is not an object")
    for key, value in videos.items():
        if not isinstance(value, Mapping):
            raise DataError(f"{location_in(file, key)}: {key!r} of class {label!r} is not an object")
        if not value or "frames" in value or "label" in value:
            if value:
                yield "", key, value
            continue
        for name, entry in value.items():
            if not isinstance(entry, Mapping):
                # DeepfakeBench's DFDC test branch writes lists instead of objects into val.
                continue
            yield key, name, entry


def _frames(file: Path, label: str, name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    if entry.get("label", label) != label:
        raise DataError(
            f"{location_in(file, name)}: video {name!r} has label {entry['label']!r}, but is in class {label!r}",
            "recreate the file with DeepfakeBench's rearrange.py",
        )
    frames = entry.get("frames")
    if not isinstance(frames, list) or not all(isinstance(f, str) for f in frames):
        raise DataError(f"{location_in(file, name)}: video {name!r} has no list of frames")
    return tuple(posix(f) for f in frames)


def _check_folder(file: Path, label: str, name: str, manipulation: str, frames: tuple[str, ...]) -> None:
    if not frames:
        return
    folders = set(frames[0].casefold().split("/"))
    wrong = folders & (_FAKE_FOLDERS if manipulation == "real" else _REAL_FOLDERS)
    if wrong:
        raise DataError(
            f"{location_in(file, name)}: video {name!r} of class {label!r} is in the folder {', '.join(sorted(wrong))}",
            "recreate the file with DeepfakeBench's rearrange.py",
        )
