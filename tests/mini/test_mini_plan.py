from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import UsageError
from dfbench.mini import MiniSettings
from dfbench.mini.plan import official_pairs, plan_clip
from dfbench.mini.tree import pair_files
from dfbench.resources import facts_folder


def test_pairs_are_the_first_official_ones_in_order() -> None:
    with (facts_folder() / "ffpp_pairs.csv").open() as lines:
        rows = [(r["split"], r["a"], r["b"]) for r in csv.DictReader(lines)]
    pairs = official_pairs(MiniSettings(train_pairs=3, val_pairs=2, test_pairs=70))
    assert [(p.split, p.a, p.b) for p in pairs] == [
        row for split, n in (("train", 3), ("val", 2), ("test", 70)) for row in [r for r in rows if r[0] == split][:n]
    ]


def test_no_clip_crosses_a_split() -> None:
    pairs = official_pairs(MiniSettings(360, 70, 70))
    clips = [clip for pair in pairs for clip in (pair.a, pair.b)]
    assert len(clips) == len(set(clips)) == 1000
    slots = [
        s
        for clip in clips
        for s in (plan_clip(clip, MiniSettings()).person_slot, plan_clip(clip, MiniSettings()).second_slot)
    ]
    assert len(set(slots)) == 2000


def test_default_has_two_people_absences_and_lengths() -> None:
    chosen = MiniSettings()
    plans = [plan_clip(c, chosen) for p in official_pairs(chosen) for c in (p.a, p.b)]
    assert 4 <= sum(p.second is not None for p in plans) <= 28
    assert 4 <= sum(len(p.absent) > 0 for p in plans) <= 28
    assert len({p.frames for p in plans}) > 5


@settings(max_examples=60, deadline=None)
@given(clip=st.integers(0, 999), low=st.integers(4, 30), more=st.integers(0, 40), seed=st.integers(0, 2**31))
def test_plans_stay_in_range(clip: int, low: int, more: int, seed: int) -> None:
    chosen = MiniSettings(frames=(low, low + more), seed=seed)
    plan = plan_clip(f"{clip:03d}", chosen)
    assert low <= plan.frames <= low + more
    assert len(plan.absent) < plan.frames
    assert 0 < plan.centre[0] < 320
    if plan.second is not None:
        assert plan.second[2] < 0.7 * plan.face_width
        assert 0 < plan.second[0] < 320


def test_a_pair_has_every_file_once() -> None:
    chosen = MiniSettings(subsets=("raw", "c23", "c40"))
    files = pair_files(official_pairs(chosen)[0], chosen)
    assert len(files) == len(set(files)) == 2 * (5 * 3 + 5)
    assert "manipulated_sequences/FaceSwap/c40/videos/071_054.mp4" in {f.as_posix() for f in files}
    assert "original_sequences/youtube/raw/videos/054.mp4" in {f.as_posix() for f in files}


@pytest.mark.parametrize(
    "wrong",
    [
        {"train_pairs": 361},
        {"val_pairs": -1},
        {"train_pairs": 0, "val_pairs": 0, "test_pairs": 0},
        {"frames": (12, 11)},
        {"frames": (2, 11)},
        {"size": (321, 240)},
        {"size": (32, 24)},
        {"subsets": ("c22",)},
        {"subsets": ()},
        {"subsets": ("c23", "c23")},
        {"manipulations": ("DeepFakes",)},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        MiniSettings(**wrong)  # type: ignore[arg-type]
    assert caught.value.hint


def test_hash_tells_settings_apart() -> None:
    assert MiniSettings().hash("x") == MiniSettings().hash("x")
    assert MiniSettings().hash("x") != MiniSettings(seed=1).hash("x")
    assert MiniSettings().hash("x") != MiniSettings().hash("y")
    assert MiniSettings().hash("x") != MiniSettings(republished=False).hash("x")
