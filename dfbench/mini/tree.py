"""The tree on disk: FF++'s folders and names, the split files, ground truth, the marker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dfbench import io
from dfbench.mini.facemodel import Floats
from dfbench.mini.plan import MiniPair
from dfbench.mini.settings import MiniSettings
from dfbench.mini.shape import Placed, face_box, five_points

MARKER = "mini.json"


def original_path(subset: str, clip: str) -> Path:
    """Return the relative path of an original."""
    return Path("original_sequences/youtube") / subset / "videos" / f"{clip}.mp4"


def fake_path(method: str, subset: str, target: str, source: str) -> Path:
    """Return the relative path of a fake: the first id is the target, the second the source."""
    return Path("manipulated_sequences") / method / subset / "videos" / f"{target}_{source}.mp4"


def truth_path(manipulation: str, name: str) -> Path:
    """Return the relative path of a clip's ground truth (``real`` for originals); the same for every subset."""
    return Path("ground_truth") / manipulation / f"{name}.npz"


def pair_files(pair: MiniPair, settings: MiniSettings) -> list[Path]:
    """Return all files of a pair, relative to the root."""
    files: list[Path] = []
    for target, source in ((pair.a, pair.b), (pair.b, pair.a)):
        files.append(truth_path("real", target))
        files.extend(original_path(subset, target) for subset in settings.subsets)
        for method in settings.manipulations:
            files.append(truth_path(method, f"{target}_{source}"))
            files.extend(fake_path(method, subset, target, source) for subset in settings.subsets)
    return files


def make_folders(root: Path, settings: MiniSettings) -> None:
    """Create every folder that a pair writes to."""
    for file in pair_files(MiniPair("train", 0, "000", "001"), settings):
        (root / file.parent).mkdir(parents=True, exist_ok=True)


def write_splits(root: Path, pairs: Sequence[MiniPair]) -> None:
    """Write ``train.json``, ``val.json``, ``test.json`` in the format of FF++: lists of pairs of ids."""
    for split in ("train", "val", "test"):
        chosen = [[pair.a, pair.b] for pair in pairs if pair.split == split]
        io.write_json(root / f"{split}.json", chosen)


def write_truth(path: Path, people: Sequence[Sequence[Placed | None]]) -> None:
    """Write a clip's ground truth.

    Arrays, N frames, P people (the main person first): ``landmarks`` (N, P, 5, 2) float32 pixels (image-left eye,
    image-right eye, nose tip, image-left and image-right mouth corner), ``boxes`` (N, P, 4) float32 x1 y1 x2 y2
    around the face mesh, ``visible`` (N, P) bool. Rows of people who are not visible are NaN.
    """
    frames = len(people[0])
    landmarks = np.full((frames, len(people), 5, 2), np.nan, np.float32)
    boxes = np.full((frames, len(people), 4), np.nan, np.float32)
    visible = np.zeros((frames, len(people)), bool)
    for p, points_of in enumerate(people):
        for n, points in enumerate(points_of):
            if points is not None:
                xy: Floats = points.xy
                landmarks[n, p], boxes[n, p], visible[n, p] = five_points(xy), face_box(xy), True
    with io.atomic_path(path, sync=False) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, landmarks=landmarks, boxes=boxes, visible=visible)
