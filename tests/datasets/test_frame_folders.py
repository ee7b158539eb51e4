"""Trees of which only extracted frames are left."""

from __future__ import annotations

import pytest

from dfbench.datasets.celebdf import LIST_NAME
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError

REAL, FAKE = "original_sequences/youtube/c23", "manipulated_sequences/Deepfakes/c23"


def frames(*folders: str) -> list[str]:
    return [f"{folder}/{n:04d}.png" for folder in folders for n in range(3)]


def scan(root, name="ff++", **filters):
    return get_adapter(name).scan(root, **filters)


@pytest.mark.parametrize(
    ("level", "beside", "cropped"),
    [
        ("images/", "", False),
        ("frames/", "", False),
        ("frames/", "landmarks/000/000.npy", True),
        ("crop_256/", "", True),
        ("Faces/", "", True),
        ("", "", False),
    ],
)
def test_official_tree_of_frames(tmp_path, touch, cells, level, beside, cropped):
    touch(tmp_path, frames(f"{REAL}/{level}000", f"{REAL}/{level}003", f"{FAKE}/{level}000_003"))
    touch(tmp_path, [f"{folder}/{beside}" for folder in (REAL, FAKE) if beside])
    found = scan(tmp_path)
    assert cells(found) == {("test", 0, "real"): 2, ("test", 1, "Deepfakes"): 1}
    assert {(m.kind, m.cropped) for m in found.media} == {("sequence", cropped)}
    assert {m.media_id for m in found.media} == {f"ff++/c23/{n}" for n in ("real/000", "real/003", "Deepfakes/000_003")}
    assert len({m.scene_group for m in found.media}) == 1
    assert found.missing["c23"]["test"] == {
        "real": {"real": 138},
        "fake": {"Deepfakes": 139, **dict.fromkeys(("Face2Face", "FaceSwap", "NeuralTextures"), 140)},
    }
    assert ("face crops" if cropped else "whole frames") in found.warnings[0]


def test_videos_are_preferred_and_both_kinds_may_be_mixed(tmp_path, touch):
    touch(tmp_path, [f"{REAL}/videos/000.mp4", *frames(f"{REAL}/images/000", f"{FAKE}/images/000_003")])
    touch(tmp_path, frames(f"{FAKE}/faces/000_003", f"{FAKE}/images/notes"))
    found = scan(tmp_path)
    assert {m.path: m.kind for m in found.media} == {
        f"{REAL}/videos/000.mp4": "clip",
        f"{FAKE}/images/000_003": "sequence",
    }
    assert found.excluded == {"not the name of a clip": (f"{FAKE}/images/notes",)}


def test_frames_of_other_sets_in_the_same_form(tmp_path, touch, cells):
    scene = "exit_phone_room"
    touch(
        tmp_path / "dfd",
        frames(
            f"original_sequences/actors/c40/images/01__{scene}",
            f"manipulated_sequences/DeepFakeDetection/c40/images/01_02__{scene}__YVGY8LOK",
        ),
    )
    found = scan(tmp_path / "dfd", "dfd")
    assert cells(found) == {("test", 0, "real"): 1, ("test", 1, "DeepFakeDetection"): 1}
    assert {(m.kind, m.subset) for m in found.media} == {("sequence", "c40")}

    clips = ("Celeb-real/frames/id0_0000", "YouTube-real/frames/00170", "Celeb-synthesis/frames/id0_id1_0000")
    touch(tmp_path / "celeb", frames(*clips))
    (tmp_path / "celeb" / LIST_NAME).write_text("1 YouTube-real/00170.mp4\n", "utf-8")
    found = scan(tmp_path / "celeb", "celeb-df-v2")
    assert cells(found) == {("train", 0, "real"): 1, ("test", 0, "real"): 1, ("train", 1, "Celeb-synthesis"): 1}
    assert {m.kind for m in found.media} == {"sequence"}


def test_an_empty_tree_is_still_none(tmp_path, touch):
    touch(tmp_path, frames(f"{REAL}/images/notes"))
    with pytest.raises(DataError, match="no media of FaceForensics"):
        scan(tmp_path)
