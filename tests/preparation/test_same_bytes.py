"""Every frame rule and face rule gives the same bytes by one worker, by two, and by parts that are merged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfbench.media.encode import write_clip
from dfbench.preparation.derived.merge import merge
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

PAIRS = (("071", "054"), ("720", "672"), ("000", "003"))
CASES = {
    "all": ({"sampling": ["all"], "splits": ["val", "test"]}, "largest", "own"),
    "first": ({"sampling": ["first=2"]}, "track", "shared"),
    "clips": ({"sampling": ["clips=2,length=2"]}, "all", "own"),
    "random": ({"sampling": ["random=3"]}, "manipulated", "own"),
    "even": ({"frames": 3}, "manipulated", "shared"),
    "every": ({"every": 4, "max_frames": 2}, "all", "shared"),
    "totals": ({"sampling": ["total_real=9,total_per_method=5"]}, "track", "own"),
    "per split": ({"sampling": ["first=2", "test:random=3", "val:total_real=5,total_per_method=4"]}, "largest", "own"),
}


def frames(photo: np.ndarray, seed: int, forged: bool, count: int = 8) -> list[np.ndarray]:
    """Two people side by side; a forgery changes the right one, who is the smaller."""
    small = cv2.resize(photo, (100, 118), interpolation=cv2.INTER_AREA)
    if forged:
        small = np.clip(small * 0.8 + 30, 0, 255).astype(np.uint8)
    left = cv2.resize(photo, (130, 154), interpolation=cv2.INTER_AREA)
    out = []
    for n in range(count):
        image = np.full((240, 320, 3), 80 + seed, np.uint8)
        image[40 : 40 + 154, 10 + n : 140 + n] = left
        image[60 : 60 + 118, 200 - n : 300 - n] = small
        out.append(image)
    return out


@pytest.fixture(scope="module")
def two_people(tmp_path_factory, photo) -> Path:
    root = tmp_path_factory.mktemp("two")
    for number, (a, b) in enumerate(PAIRS):
        clips = {f"original_sequences/youtube/c23/videos/{name}.mp4": False for name in (a, b)}
        clips[f"manipulated_sequences/FaceSwap/c23/videos/{a}_{b}.mp4"] = True
        for place, forged in clips.items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path, frames(photo, 10 * number, forged), 25, 23)
    return root


@pytest.mark.parametrize("case", CASES)
def test_one_worker_two_workers_and_parts(two_people, tmp_path, monkeypatch, case):
    frame_rule, face_rule, geometry = CASES[case]
    monkeypatch.setattr(
        "dfbench.preparation.planning.sharding.LEAST_ROWS", 4
    )  # so that these few clips fill several shards
    options = frame_rule | {"face_rule": face_rule, "geometry": geometry, "sizes": [32], "quiet": True}
    one = prepare("ff++", two_people, tmp_path / "one", workers=1, **options)
    two = prepare("ff++", two_people, tmp_path / "two", workers=2, **options)
    for part in ("2/2", "1/2"):
        prepare("ff++", two_people, tmp_path / "parts", workers=1, array=part, **options)
    merged = merge([tmp_path / "parts"], tmp_path / "merged", quiet=True)
    assert len(one.info.shards) > 1
    assert one.info.counts
    for other in (two, merged):
        assert other.info.shards == one.info.shards
        assert other.info.counts == one.info.counts
        for shard in one.info.shards:
            assert (other.path / shard.file).read_bytes() == (one.path / shard.file).read_bytes()
    faces = one.to_pandas(["face_count", "face_index"])
    assert faces["face_count"].max() == 2
    assert (faces["face_index"].max() == 1) == (face_rule == "all")
