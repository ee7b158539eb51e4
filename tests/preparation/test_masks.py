"""Mask videos as optional columns: cut like the face, null where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfbench.errors import UsageError
from dfbench.faces.crops import crop
from dfbench.faces.profiles import get_profile
from dfbench.manifest.stored_geometry import face_of
from dfbench.media.encode import write_clip
from dfbench.media.images import decode_image
from dfbench.media.reader import read
from dfbench.preparation.derived.recrop import recrop
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.prepare import prepare, resolve_preparation

pytestmark = pytest.mark.slow

OPTIONS = {"frames": 4, "sizes": [48, 64], "workers": 1, "quiet": True}
MASKS = ["mask_48", "mask_64", "sha256_mask_48", "sha256_mask_64"]


def write_mask(root: Path, method: str, name: str, frames: int, size: tuple[int, int] = (240, 320)) -> Path:
    """A white square on black that grows from frame to frame."""
    path = root / f"manipulated_sequences/{method}/masks/videos/{name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    masks = []
    for n in range(frames):
        mask = np.zeros((*size, 3), np.uint8)
        mask[60 : 140 + 4 * n, 80 : 160 + 4 * n] = 255
        masks.append(mask)
    write_clip(path, masks, 25, 23)
    return path


@pytest.fixture
def masked(pair_tree) -> Path:
    root = pair_tree()
    write_mask(root, "Deepfakes", "000_003", 20)
    write_mask(root, "Deepfakes", "003_000", 5)  # shorter than its clip
    write_mask(root, "FaceSwap", "000_003", 20, size=(120, 160))
    return root


def test_masks_are_cut_like_the_faces_and_null_elsewhere(masked, tmp_path):
    manifest = prepare("ff++", masked, tmp_path / "m", masks=True, **OPTIONS)
    assert manifest.verify() == []
    assert manifest.info.extras == ("masks",)
    assert not [c for c in manifest.table().column_names if c.startswith("mask_")]
    rows = manifest.table([*manifest.columns]).to_pandas()
    assert set(rows["status"]) == {"ok"}
    there = rows["mask_64"].notna()
    assert (rows[MASKS].notna().all(axis=1) == there).all()
    by_clip = {media_id: found.tolist() for media_id, found in there.groupby(rows["media_id"])}
    assert by_clip == {
        "ff++/c23/real/000": [False] * 4,
        "ff++/c23/real/003": [False] * 4,
        "ff++/c23/Deepfakes/000_003": [True] * 4,
        "ff++/c23/Deepfakes/003_000": [True, True, False, False],
        "ff++/c23/FaceSwap/000_003": [False] * 4,  # another size than the clip's
        "ff++/c23/FaceSwap/003_000": [False] * 4,  # no mask video
    }
    path = masked / "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
    frames = read(path, range).frames
    profile = get_profile("native")
    for row in rows[rows["media_id"] == "ff++/c23/Deepfakes/000_003"].to_dict("records"):
        image = frames[row["frame_index"]].image
        for size in (48, 64):
            matrix = profile.matrix(face_of(row), size, 320, 240)
            assert np.array_equal(decode_image(row[f"mask_{size}"]["bytes"]), crop(image, matrix, size))
        marked = decode_image(row["mask_64"]["bytes"]).mean() / 255
        assert 0.1 < marked < 0.9


def test_the_crops_stay_and_the_hash_knows(masked, tmp_path):
    plain = prepare("ff++", masked, tmp_path / "plain", **OPTIONS)
    one = prepare("ff++", masked, tmp_path / "one", masks=True, **OPTIONS)
    two = prepare("ff++", masked, tmp_path / "two", masks=True, **(OPTIONS | {"workers": 2}))
    shared = prepare("ff++", masked, tmp_path / "shared", masks=True, geometry="shared", **OPTIONS)
    assert one.info.shards == two.info.shards
    assert one.info.recipe_hash != plain.info.recipe_hash
    assert one.to_pandas()["sha256_64"].tolist() == plain.to_pandas()["sha256_64"].tolist()
    assert shared.verify() == []
    assert shared.to_pandas()["sha256_mask_64"].notna().sum() == 6
    assert "masks" not in plain.info.recipe
    assert make_recipe(PreparationRequest("ff++", masks=False)).hash == make_recipe(PreparationRequest("ff++")).hash


def test_a_damaged_mask_video_and_folders_of_another_case(masked, tmp_path):
    folder = masked / "manipulated_sequences/Deepfakes/masks"
    (folder / "videos/003_000.mp4").write_bytes(b"no clip")
    folder.rename(folder.with_name("Masks"))
    rows = prepare("ff++", masked, tmp_path / "m", masks=True, **OPTIONS).to_pandas()
    found = rows["sha256_mask_64"].notna().groupby(rows["media_id"]).sum()
    assert found[found > 0].to_dict() == {"ff++/c23/Deepfakes/000_003": 4}
    assert set(rows["status"]) == {"ok"}


def test_fakes_without_one_are_counted_before_the_run(masked):
    (warning,) = resolve_preparation("ff++", masked, masks=True).shards.scan.warnings
    assert warning.startswith("1 of 4 fakes have no mask video, for example ff++/c23/FaceSwap/003_000")
    assert resolve_preparation("ff++", masked).shards.scan.warnings == ()


def test_recrop_has_no_masks(masked, tmp_path):
    source = prepare("ff++", masked, tmp_path / "m", masks=True, patch=True, **OPTIONS)
    made = recrop(source, tmp_path / "again", sizes=[32], workers=1, quiet=True)
    assert made.verify() == []
    assert made.info.extras == ()
    assert "masks" not in made.info.recipe


@pytest.mark.parametrize("dataset", ["dfdc", "mini", "hff"])
def test_a_data_set_without_masks(dataset):
    with pytest.raises(UsageError, match=f"{dataset}' has no mask videos") as error:
        make_recipe(PreparationRequest(dataset, masks=True))
    assert "--masks" in error.value.hint


def test_masks_that_a_list_names_are_those_of_the_official_tree(masked, tmp_path):
    official = prepare("ff++", masked, tmp_path / "m", masks=True, manipulations=["Deepfakes"], **OPTIONS)
    fake = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
    mask = "manipulated_sequences/Deepfakes/masks/videos/000_003.mp4"
    (masked / "media.csv").write_text(f"path,label,mask\n{fake},1,{mask}\n", "utf-8")
    listed = prepare("folder:own", masked, tmp_path / "n", masks=True, **OPTIONS)
    rows = [m.table([*m.columns]).to_pandas().set_index("media_path") for m in (official, listed)]
    ours, theirs = (table.loc[fake]["sha256_mask_64"].tolist() for table in rows)
    assert ours == theirs
    assert all(ours)
