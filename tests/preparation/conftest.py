"""Tiny trees in FF++'s layout whose clips show a public-domain photo (inside matplotlib's wheel) moving about."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from dfbench.media.encode import write_clip

METHODS = ("Deepfakes", "FaceSwap")


@lru_cache
def photo() -> np.ndarray:
    file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return cv2.resize(image, (200, 236), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session", name="photo")
def _photo() -> np.ndarray:
    return photo()


def moving(frames: int, seed: int, face: bool = True) -> list[np.ndarray]:
    """Frames of 240x320 in which the photo drifts; without a face, a plain gradient does."""
    rng = np.random.default_rng(seed)
    x, y = int(rng.integers(5, 40)), 2
    out = []
    for n in range(frames):
        image = np.full((240, 320, 3), 90 + seed % 40, np.uint8)
        image[:, :, 0] += np.arange(320, dtype=np.uint8)[None, :] // 8
        if face:
            image[y : y + 236, x + n : x + n + 200] = photo()
        out.append(image)
    return out


def clip_paths(root: Path, a: str, b: str, subset: str = "c23", methods: tuple[str, ...] = METHODS) -> list[Path]:
    """Files of one pair, reals first."""
    real = root / "original_sequences" / "youtube" / subset / "videos"
    fakes = [root / "manipulated_sequences" / m / subset / "videos" for m in methods]
    return [real / f"{a}.mp4", real / f"{b}.mp4"] + [f / f"{x}_{y}.mp4" for f in fakes for x, y in ((a, b), (b, a))]


def write_pair(
    root: Path, a: str, b: str, frames: int = 12, subset: str = "c23", methods: tuple[str, ...] = METHODS
) -> None:
    for n, path in enumerate(clip_paths(root, a, b, subset, methods)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(path, moving(frames + n % 2, seed=int(a) * 10 + n), 25, 23)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs of the official list, one a split, 18 clips at c23."""
    root = tmp_path_factory.mktemp("ffpp")
    for a, b in (("071", "054"), ("720", "672"), ("000", "003")):
        write_pair(root, a, b)
    return root


@pytest.fixture
def pair_tree(tmp_path: Path) -> Callable[..., Path]:
    """Make a tree of one pair, for a test to damage."""

    def make(**options: object) -> Path:
        root = tmp_path / "tree"
        write_pair(root, "000", "003", **options)  # type: ignore[arg-type]
        return root

    return make
