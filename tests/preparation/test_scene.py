"""Face rules, shared geometry, image sequences and ready-made crops, through ``prepare`` on small trees."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfbench.faces.centerface_onet import CenterFaceDetector
from dfbench.manifest.stored_geometry import whole_image_matrix
from dfbench.media.encode import write_clip
from dfbench.media.frames import BATCH_FRAMES
from dfbench.media.images import decode_image, encode_png
from dfbench.media.reader import read
from dfbench.mini import MiniSettings, generate
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.shard_plan import plan_shards
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow

TWO = "original_sequences/youtube/c23/videos/974.mp4"  # a clip of two people, the smaller on the right
FAKES = "manipulated_sequences/{}/c23/videos/974_953.mp4"
METHODS = ("Deepfakes", "FaceSwap")
PAIR = {"train_pairs": 0, "val_pairs": 0, "test_pairs": 1, "frames": (6, 8), "seed": 25}
PAIR |= {"subsets": ("c23",), "manipulations": METHODS}


@pytest.fixture(scope="session")
def mini_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair of invented people whose second clip shows two; fakes change the larger."""
    return generate(tmp_path_factory.mktemp("mini") / "tree", MiniSettings(**PAIR), workers=1, quiet=True)


@pytest.fixture
def tree_copy(mini_tree: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mini_tree, tmp_path / "tree"))


def made(root: Path, out: Path, **options: object) -> pd.DataFrame:
    values = {"frames": 4, "sizes": [64], "workers": 1, "quiet": True} | options
    manifest = prepare("ff++", root, out, **values)  # type: ignore[arg-type]
    assert manifest.verify() == []
    table = manifest.table().to_pandas()
    table.attrs["manifest"] = manifest
    return table


def frames_of(path: Path) -> list[np.ndarray]:
    return [f.image for f in read(path, range).frames.values()]


def sides(rows: pd.DataFrame) -> list[str]:
    """Return the side of each box's centre in an image 320 pixels wide."""
    return ["right" if box[0] + box[2] > 320 else "left" for box in rows["box"]]


def forge_the_smaller(root: Path) -> None:
    """Make fakes of the clip of two people in which the smaller face alone is changed."""
    with np.load(root / "ground_truth/real/974.npz") as truth:
        boxes = truth["boxes"][:, 1].round().astype(int)
    for method in METHODS:
        frames = frames_of(root / TWO)
        for frame, (x1, y1, x2, y2) in zip(frames, boxes, strict=True):
            part = frame[y1:y2, x1:x2]
            part[:] = np.clip(part.astype(int) + np.array([24, -12, 10]), 0, 255)
        write_clip(root / FAKES.format(method), frames, 25, 23)


# Which face


def test_all_faces_have_rows_by_size(mini_tree, tmp_path):
    every = made(mini_tree, tmp_path / "all", face_rule="all")
    two = every[every["media_path"] == TWO]
    assert two["face_index"].tolist() == [0, 1] * 4
    assert two["sample_id"].is_unique
    assert sides(two) == ["left", "right"] * 4
    largest = made(mini_tree, tmp_path / "largest")
    columns = [c for c in largest.columns if not c.startswith("crop_")]
    first = every[every["face_index"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(first[columns].map(str), largest[columns].map(str))
    assert every.attrs["manifest"].info.recipe["faces_per_frame"] == "all"


def test_the_manipulated_face_is_followed_in_fake_and_real_alike(tree_copy, tmp_path):
    forge_the_smaller(tree_copy)
    largest = made(tree_copy, tmp_path / "largest")
    chosen = made(tree_copy, tmp_path / "chosen", face_rule="manipulated")
    of_two = ("ff++/c23/real/974", "ff++/c23/Deepfakes/974_953", "ff++/c23/FaceSwap/974_953")
    for media_id in of_two:
        assert set(sides(largest[largest["media_id"] == media_id])) == {"left"}
        assert set(sides(chosen[chosen["media_id"] == media_id])) == {"right"}
    others = ~chosen["media_id"].isin(of_two)
    assert chosen[others]["sha256_64"].tolist() == largest[others]["sha256_64"].tolist()
    assert set(chosen["face_index"]) == {0}
    assert chosen.attrs["manifest"].info.recipe["face_rule"] == "manipulated"


def test_in_the_mini_set_it_is_the_larger_person(mini_tree, tmp_path):
    """Every file of the mini set has its own framing and light, so the whole image differs from the base's."""
    chosen = made(mini_tree, tmp_path / "m", face_rule="manipulated")
    assert set(sides(chosen[chosen["media_path"] == TWO])) == {"left"}


def test_a_mask_video_decides_where_there_is_one(tree_copy, tmp_path):
    # The fakes change the larger face; the masks, which are shorter than the clips, point at the smaller.
    with np.load(tree_copy / "ground_truth/real/974.npz") as truth:
        boxes = truth["boxes"][:, 1].round().astype(int)
    for method in METHODS:
        masks = []
        for x1, y1, x2, y2 in boxes[:3]:
            mask = np.zeros((240, 320, 3), np.uint8)
            mask[y1:y2, x1:x2] = 255
            masks.append(mask)
        path = tree_copy / f"manipulated_sequences/{method}/masks/videos/974_953.mp4"
        path.parent.mkdir(parents=True)
        write_clip(path, masks, 25, 23)
    chosen = made(tree_copy, tmp_path / "m", face_rule="manipulated")
    assert set(sides(chosen[chosen["media_path"] == TWO])) == {"right"}
    assert set(sides(chosen[chosen["media_path"] == FAKES.format("FaceSwap")])) == {"right"}


def test_without_its_base_a_fake_gives_the_track_of_the_larger_face(tree_copy, tmp_path):
    forge_the_smaller(tree_copy)
    (tree_copy / TWO).unlink()
    chosen = made(tree_copy, tmp_path / "m", face_rule="manipulated")
    assert set(sides(chosen[chosen["media_path"] == FAKES.format("FaceSwap")])) == {"left"}
    recipes = [make_recipe(PreparationRequest("ff++", face_rule=rule)) for rule in ("manipulated", "track")]
    said = [[w for w in plan_shards(r, tree_copy).scan.warnings if "no base clip" in w] for r in recipes]
    assert said[0][0].startswith("2 fakes have no base clip, for example ff++")
    assert said[1] == []


def test_a_followed_face_that_leaves_gives_rows_without_a_face(tree_copy, tmp_path):
    frames = frames_of(tree_copy / TWO)
    for frame in frames[-2:]:
        frame[:, :200] = 90
    write_clip(tree_copy / TWO, frames, 25, 23)
    count = len(frames)
    rows = made(tree_copy, tmp_path / "track", frames=count, face_rule="track").query("media_path == @TWO")
    assert rows["status"].tolist() == ["ok"] * (count - 2) + ["no_face"] * 2
    assert rows["reason"].iloc[-1] == "the tracked face is not in this frame, only other faces"
    assert set(sides(rows[rows["status"] == "ok"])) == {"left"}
    largest = made(tree_copy, tmp_path / "largest", frames=count).query("media_path == @TWO")
    assert sides(largest)[-1] == "right"


# Shared geometry


@pytest.fixture(scope="module")
def twin_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pair as FF++ has it: a fake equals its base outside the face."""
    settings = MiniSettings(**PAIR, republished=False)
    return generate(tmp_path_factory.mktemp("twins") / "tree", settings, workers=1, quiet=True)


@pytest.fixture
def twin_copy(twin_tree: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(twin_tree, tmp_path / "tree"))


@pytest.fixture(scope="module")
def shared(twin_tree, tmp_path_factory) -> pd.DataFrame:
    return made(twin_tree, tmp_path_factory.mktemp("shared") / "m", geometry="shared")


def test_fakes_take_the_geometry_of_their_base(shared, twin_tree, tmp_path):
    info = shared.attrs["manifest"].info
    assert info.geometry == "shared"
    assert info.geometry_groups == {"shared": 1, "own": 0}
    own = made(twin_tree, tmp_path / "own")
    geometry = ["frame_index", "status", "box", "landmarks", "matrix", "scale", "face_score", "face_count"]
    for base in ("953", "974"):
        real = shared[shared["media_id"] == f"ff++/c23/real/{base}"]
        assert real["sha256_64"].tolist() == own[own["media_id"] == real["media_id"].iloc[0]]["sha256_64"].tolist()
        for method in METHODS:
            fake = shared[shared["manipulation"].eq(method) & shared["identity_target"].eq(base)]
            assert len(fake) == 4
            assert set(fake["geometry_from"]) == {f"ff++/c23/real/{base}"}
            assert fake[geometry].map(str).to_numpy().tolist() == real[geometry].map(str).to_numpy().tolist()
            assert not set(fake["sha256_64"]) & set(real["sha256_64"])
    assert set(own["geometry_from"] == own["media_id"]) == {True}
    assert own.attrs["manifest"].info.geometry_groups == {}


def test_the_crop_of_a_fake_is_cut_from_the_fake(shared, twin_tree):
    from dfbench.faces.crops import crop

    row = shared[shared["media_path"] == FAKES.format("FaceSwap")].iloc[2]
    index = int(row["frame_index"])
    image = read(twin_tree / row["media_path"], lambda _: [index]).frames[index].image
    again = crop(image, np.array(row["matrix"]).reshape(2, 3).astype(float), 64)
    (stored,) = shared.attrs["manifest"].crops([row["sample_id"]], 64)
    assert np.abs(stored.astype(int) - again).max() <= 1  # the matrix was rounded to float32


def test_indices_come_from_the_shortest_clip(twin_copy, tmp_path):
    fake = twin_copy / FAKES.format("FaceSwap")
    write_clip(fake, frames_of(fake)[:5], 25, 23)
    rows = made(twin_copy, tmp_path / "m", geometry="shared")
    family = rows[rows["identity_target"] == "974"]
    assert {tuple(r["frame_index"]) for _, r in family.groupby("media_id")} == {(0, 1, 3, 4)}
    assert rows.attrs["manifest"].info.geometry_groups == {"shared": 1, "own": 0}


@pytest.mark.parametrize("trouble", ["size", "framing", "no base", "damaged base"])
def test_all_or_nothing(twin_copy, tmp_path, trouble):
    if trouble == "size":
        fake = twin_copy / FAKES.format("FaceSwap")
        write_clip(fake, [f[:, :300] for f in frames_of(fake)], 25, 23)
    elif trouble == "framing":
        fake = twin_copy / FAKES.format("FaceSwap")
        write_clip(fake, [np.roll(f, 2, axis=1) for f in frames_of(fake)], 25, 23)
    elif trouble == "no base":
        (twin_copy / TWO).unlink()
    else:
        (twin_copy / TWO).write_bytes(b"no clip")
    rows = made(twin_copy, tmp_path / "m", geometry="shared")
    found = rows[rows["status"] == "ok"]
    assert (found["geometry_from"] == found["media_id"]).all()
    assert rows.attrs["manifest"].info.geometry_groups == {"shared": 0, "own": 1}
    own = made(twin_copy, tmp_path / "own")
    assert rows["sha256_64"].tolist() == own["sha256_64"].tolist()


def test_the_mini_set_shares_nothing_since_every_file_is_framed_in_its_own_way(mini_tree, tmp_path):
    rows = made(mini_tree, tmp_path / "m", geometry="shared")
    assert rows.attrs["manifest"].info.geometry_groups == {"shared": 0, "own": 1}


def test_a_fake_that_does_not_open_hinders_nobody(twin_copy, tmp_path):
    (twin_copy / FAKES.format("FaceSwap")).write_bytes(b"no clip")
    rows = made(twin_copy, tmp_path / "m", geometry="shared")
    bad = rows[rows["media_path"] == FAKES.format("FaceSwap")]
    assert bad["status"].tolist() == ["decode_error"] * 4
    assert bad["frame_index"].tolist() == [-1, -2, -3, -4]
    assert rows.attrs["manifest"].info.geometry_groups == {"shared": 1, "own": 0}


def test_a_frame_without_a_face_in_the_base_has_none_in_the_fakes(twin_copy, tmp_path):
    frames = frames_of(twin_copy / TWO)
    frames[-1][:] = 80
    write_clip(twin_copy / TWO, frames, 25, 23)
    rows = made(twin_copy, tmp_path / "m", geometry="shared")
    last = rows[(rows["identity_target"] == "974")].groupby("media_id").tail(1)
    assert set(last["status"]) == {"no_face"}
    assert set(last["reason"]) == {"no face found"}


def test_shared_geometry_of_the_manipulated_face(twin_copy, tmp_path):
    forge_the_smaller(twin_copy)
    rows = made(twin_copy, tmp_path / "m", geometry="shared", face_rule="manipulated")
    family = rows[rows["identity_target"] == "974"]
    assert set(sides(family)) == {"right"}
    assert family["matrix"].map(str).nunique() == 4


# Which frames


def test_rules_reach_the_rows(tree, tmp_path):
    rules = ["clips=2,length=3", "test:first=2", "val:random=3"]
    rows = made(tree, tmp_path / "m", frames=None, sampling=rules)
    from dfbench.schema.sampling import FrameSampling

    wanted = {
        "train": FrameSampling(clips=2, length=3),
        "test": FrameSampling(first=2),
        "val": FrameSampling(random=3),
    }
    for media_id, clip in rows.groupby("media_id"):
        rule = wanted[clip["split"].iloc[0]]
        assert clip["frame_index"].tolist() == rule.indices(int(clip["frame_count"].iloc[0]), str(media_id))
    assert set(rows["split"]) == set(wanted)


def test_totals_and_their_shortfall(tree, tmp_path):
    rows = made(tree, tmp_path / "m", frames=None, sampling=["total_real=7,total_per_method=60"])
    counts = rows.groupby(["split", "manipulation"]).size()
    assert (counts.xs("real", level=1) == 7).all()
    clips = rows[rows["manipulation"] != "real"]
    assert (clips.groupby("media_id").size() == clips.groupby("media_id")["frame_count"].first()).all()
    lacking = rows.attrs["manifest"].info.shortfall
    for split in ("train", "val", "test"):
        assert lacking["c23"][split]["fake"]["FaceSwap"] == 60 - counts[split, "FaceSwap"]
        assert "real" not in lacking["c23"][split]


@pytest.mark.parametrize(("detector", "at_once"), [("centerface-full", 5), ("centerface", 8)])
def test_clips_looked_at_in_other_parts_give_the_same(tree, tmp_path, monkeypatch, detector, at_once):
    monkeypatch.setattr(CenterFaceDetector, "BLOCK", 4)  # the clips have fewer frames than a block
    monkeypatch.setattr("dfbench.media.frames.BATCH_FRAMES", 4)
    options = {"frames": None, "sampling": ["all"], "splits": ["val"], "face_detector": detector}
    whole = made(tree, tmp_path / "whole", **options)
    monkeypatch.setattr("dfbench.media.frames.BATCH_FRAMES", at_once)
    parts = made(tree, tmp_path / "parts", **options)
    assert whole["sample_id"].tolist() == parts["sample_id"].tolist()
    assert whole["sha256_64"].tolist() == parts["sha256_64"].tolist()
    assert (whole.groupby("media_id").size() > at_once).all()


def test_a_part_ends_where_a_block_of_the_detector_ends():
    assert BATCH_FRAMES % CenterFaceDetector.BLOCK == 0


# Sequences and ready-made crops


def test_frames_in_folders_give_what_their_clip_gives(tree, tmp_path):
    root = tmp_path / "FaceForensics++_C23"
    clip = tree / "original_sequences/youtube/c23/videos/000.mp4"
    for name in ("original/000", "Deepfakes/000_003"):
        place = root / name
        place.mkdir(parents=True)
        for number, image in enumerate(frames_of(clip)):
            (place / f"{7 * number:04d}.png").write_bytes(encode_png(image))
    rows = made(root, tmp_path / "m")
    real = rows[rows["media_id"] == "ff++/c23/real/000"]
    direct = made(tree, tmp_path / "direct", splits=["test"])
    wanted = direct[direct["media_id"] == "ff++/c23/real/000"]
    assert real["sha256_64"].tolist() == wanted["sha256_64"].tolist()
    assert real["frame_index"].tolist() == wanted["frame_index"].tolist()
    assert len(rows) == 8


def crops_tree(root: Path) -> Path:
    noise = np.random.default_rng(5)
    for part in ("real_train/1/4", "real_test/2/5", "fake_train/3/6"):
        place = root / part
        place.mkdir(parents=True)
        for number in (3, 20, 11, 40):
            image = noise.integers(0, 256, (48, 48, 3)).astype(np.uint8)
            (place / f"{number}.png").write_bytes(encode_png(image))
    return root


def test_ready_made_crops_stay_as_they_are(tmp_path):
    root = crops_tree(tmp_path / "wild")
    manifest = prepare("wilddeepfake", root, tmp_path / "m", frames=3, sizes=[48, 24], workers=1, quiet=True)
    assert manifest.verify() == []
    rows = manifest.table().to_pandas()
    assert len(rows) == 9
    assert set(rows["status"]) == {"ok"}
    for column in ("face_score", "box", "landmarks", "face_count", "geometry_from"):
        assert rows[column].isna().all()
    assert np.allclose(rows["scale"], 1.0)
    for crop, (_, row) in zip(manifest.crops(rows["sample_id"], 48), rows.iterrows(), strict=True):
        # Numbers 3, 11, 20, 40 in order; three of four frames, both ends among them.
        number = {0: 3, 1: 11, 2: 20, 3: 40}[row["frame_index"]]
        assert np.array_equal(crop, decode_image((root / row["media_path"] / f"{number}.png").read_bytes()))
    half = list(manifest.crops(rows["sample_id"], 24))
    full = list(manifest.crops(rows["sample_id"], 48))
    means = [f.reshape(24, 2, 24, 2, 3).mean(axis=(1, 3)) for f in full]
    assert max(np.abs(h - m).mean() for h, m in zip(half, means, strict=True)) < 12


def test_an_archive_gives_the_bytes_of_its_folders(tmp_path):
    folders = crops_tree(tmp_path / "wild")
    packed = tmp_path / "packed"
    for part in ("real_train/1", "real_test/2", "fake_train/3"):
        (packed / part).parent.mkdir(parents=True)
        with tarfile.open(packed / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(folders / part, arcname=Path(part).name)
    options = {"frames": 3, "sizes": [48], "workers": 1, "quiet": True}
    one = prepare("wilddeepfake", folders, tmp_path / "one", **options)
    two = prepare("wilddeepfake", packed, tmp_path / "two", **options)
    a, b = one.table().to_pandas(), two.table().to_pandas()
    assert a["sample_id"].tolist() == b["sample_id"].tolist()
    assert a["sha256_48"].tolist() == b["sha256_48"].tolist()


def test_damage_in_a_sequence_costs_its_row_only(tmp_path):
    root = crops_tree(tmp_path / "wild")
    (root / "fake_train/3/6/11.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    manifest = prepare("wilddeepfake", root, tmp_path / "m", frames=4, sizes=[48], workers=1, quiet=True)
    rows = manifest.table().to_pandas()
    bad = rows[rows["status"] != "ok"]
    assert bad[["status", "frame_index"]].to_numpy().tolist() == [["decode_error", 1]]
    assert "11.png" in bad["reason"].iloc[0]
    assert str(root) not in bad["reason"].iloc[0]


def test_the_whole_image_fills_the_crop():
    for width, height, size in ((100, 100, 50), (64, 32, 16), (31, 57, 200)):
        matrix = whole_image_matrix(size, width, height)
        centre = matrix @ [(width - 1) / 2, (height - 1) / 2, 1]
        assert centre == pytest.approx([(size - 1) / 2] * 2)
        # Outer edges, half a pixel beyond the centres of the outer pixels, of the longer side meet.
        longer = 0 if width >= height else 1
        edges = [(matrix @ [x, x, 1])[longer] for x in (-0.5, max(width, height) - 0.5)]
        assert edges == pytest.approx([-0.5, size - 0.5])
    assert np.array_equal(whole_image_matrix(80, 80, 80), [[1, 0, 0], [0, 1, 0]])
