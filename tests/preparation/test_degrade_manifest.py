"""A manifest under a condition: the same rows and faces, other pixels, whichever way it is made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import dfbench
from dfbench import degrade as degradations
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.faces.crops import crop
from dfbench.faces.profiles import get_profile
from dfbench.manifest import degraded as degraded_module
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.stored_geometry import degraded_crops, face_of, whole_image_matrix
from dfbench.media.images import decode_image, encode_png
from dfbench.media.reader import read
from dfbench.preparation.derived.degrade import degrade

pytestmark = pytest.mark.slow

SIZES = (48, 64)
NOTHING = "brightness:add=0"  # a condition that changes no pixel


@pytest.fixture(scope="module")
def prepare(tree: Path) -> Callable[..., Manifest]:
    def make(out: Path, **options: Any) -> Manifest:
        wanted: dict[str, Any] = {"frames": 3, "sizes": SIZES, "splits": ["train"], "workers": 1, "quiet": True}
        return dfbench.prepare("ff++", tree, out, **wanted | options)

    return make


@pytest.fixture(scope="module")
def clean(prepare: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return prepare(tmp_path_factory.mktemp("clean") / "m")


def rows(manifest: Manifest) -> list[dict[str, Any]]:
    return [row for shard in manifest.info.shards for row in pq.read_table(manifest.path / shard.file).to_pylist()]


def pixels(manifest: Manifest, size: int = 64) -> dict[str, np.ndarray]:
    return {r["sample_id"]: decode_image(r[f"crop_{size}"]["bytes"]) for r in rows(manifest) if r["status"] == "ok"}


def hashes(manifest: Manifest) -> list[tuple[str, ...]]:
    return [(r["sample_id"], *(r[f"sha256_{size}"] for size in SIZES)) for r in rows(manifest)]


@pytest.mark.parametrize("spec", ["JP60", "gaussian-noise:sigma=8+ME5"])
def test_on_the_crop_it_is_the_stored_crop_degraded(clean: Manifest, tmp_path: Path, spec: str) -> None:
    made = degrade(clean, spec, tmp_path / "m", workers=1, quiet=True)
    assert made.verify() == []
    for size in SIZES:
        before, after = pixels(clean, size), pixels(made, size)
        assert before.keys() == after.keys()
        for sample, image in before.items():
            assert np.array_equal(after[sample], degradations.apply(spec, image, sample))
    changed = {"sha256_48", "sha256_64"}
    kept = [c for c in clean.to_pandas().columns if c not in changed]
    assert made.to_pandas(kept).equals(clean.to_pandas(kept))
    assert made.info.condition == degradations.parse(spec).name
    assert made.info.recipe["degrade"]["hash"] == clean.info.hash
    assert made.info.recipe_hash != clean.info.recipe_hash
    assert made.info.counts == clean.info.counts


@pytest.mark.parametrize("spec", ["JP60", "mean:k=7@source", "h264:crf=38@clip", "shot-noise:scale=25@clip"])
def test_prepare_degrade_gives_the_same_pixels(
    clean: Manifest, tree: Path, tmp_path: Path, prepare: Callable[..., Manifest], spec: str
) -> None:
    made = degrade(clean, spec, tmp_path / "d", root=tree, workers=1, quiet=True)
    direct = prepare(tmp_path / "p", condition=spec)
    assert direct.verify() == []
    assert hashes(made) == hashes(direct)
    assert hashes(made) != hashes(clean)
    assert direct.info.condition == made.info.condition == degradations.parse(spec).name
    assert direct.info.recipe["degrade"]["condition"] == degradations.parse(spec).name


@pytest.mark.parametrize("place", ["source", "clip"])
@pytest.mark.parametrize("options", [{}, {"geometry": "shared", "profile": "box"}, {"face_rule": "all", "frames": 8}])
def test_the_face_does_not_move(
    tree: Path, tmp_path: Path, prepare: Callable[..., Manifest], place: str, options: dict[str, Any]
) -> None:
    before = prepare(tmp_path / "c", **options)
    made = degrade(before, f"{NOTHING}@{place}", tmp_path / "d", root=tree, workers=1, quiet=True)
    assert hashes(made) == hashes(before)


def test_source_frames_are_degraded_whole(clean: Manifest, tree: Path, tmp_path: Path) -> None:
    made = pixels(degrade(clean, "median:k=5@source", tmp_path / "d", root=tree, workers=1, quiet=True))
    for row in rows(clean)[::4]:
        index = row["frame_index"]
        frame = read(tree / row["media_path"], lambda _, i=index: [i]).frames[index].image
        blurred = cv2.medianBlur(frame, 5)
        matrix = get_profile("native").matrix(face_of(row), 64, row["width"], row["height"])
        assert np.array_equal(made[row["sample_id"]], crop(blurred, matrix, 64))
        stored = np.array(row["matrix"]).reshape(2, 3)
        np.testing.assert_allclose(matrix, stored, atol=1e-3)


def test_clips_are_transcoded_whole(clean: Manifest, tree: Path, tmp_path: Path) -> None:
    made = pixels(degrade(clean, "h264:crf=40", tmp_path / "d", root=tree, workers=1, quiet=True))
    row = rows(clean)[-1]
    clip = read(tree / row["media_path"], lambda n: range(n))
    coded = degradations.apply_clip("h264:crf=40", [clip.frames[i].image for i in range(12)], row["media_id"], clip.fps)
    matrix = get_profile("native").matrix(face_of(row), 64, row["width"], row["height"])
    assert np.array_equal(made[row["sample_id"]], crop(coded[row["frame_index"]], matrix, 64))


@pytest.mark.parametrize("blocks", [1, 5])
def test_long_clips_are_read_in_blocks(
    clean: Manifest, tree: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    ok = [row for row in rows(clean) if row["media_id"] == rows(clean)[0]["media_id"]]
    for spec in ("h264:crf=35", "gaussian-noise@clip", "ME5@source"):
        arguments = (degradations.parse(spec), "native", [64], tree, "pyav")
        whole = [found[64] for found in degraded_crops(ok, *arguments)]
        with monkeypatch.context() as patch:
            patch.setattr("dfbench.manifest.stored_geometry.MAX_FRAMES", blocks)
            assert all(np.array_equal(a, b[64]) for a, b in zip(whole, degraded_crops(ok, *arguments), strict=True))


def test_a_patch_that_is_the_whole_frame_spares_the_media() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    row = {
        "sample_id": "hff/all/real/0#000000.0", "media_id": "hff/all/real/0", "media_path": "0.png", "frame_index": 0,
        "frame_count": 1, "width": 60, "height": 60, "box": None, "landmarks": None, "face_score": None,
        "patch": {"bytes": encode_png(image)}, "patch_box": [0, 0, 60, 60],
    }  # fmt: skip
    (found,) = degraded_crops([row], degradations.parse("JP60@source"), "native", [32], None, "pyav")
    expected = crop(degradations.apply("JP60", image, row["sample_id"]), whole_image_matrix(32, 60, 60), 32)
    assert np.array_equal(found[32], expected)


def test_one_job_or_two_and_after_an_interruption(clean: Manifest, tree: Path, tmp_path: Path) -> None:
    one = degrade(clean, "h264:crf=35", tmp_path / "one", root=tree, workers=1, quiet=True)
    out = tmp_path / "two"
    degrade(clean, "h264:crf=35", out, root=tree, workers=2, quiet=True)
    first = sorted(out.glob("shard-*"))[0]
    first.unlink()
    (out / "manifest.json").write_text(
        (out / "manifest.json").read_text().replace('"complete": true', '"complete": false')
    )
    again = degrade(clean, "h264:crf=35", out, root=tree, workers=2, quiet=True)
    assert again.info.hash == one.info.hash
    with pytest.raises(UsageError, match="another recipe"):
        degrade(clean, "h264:crf=30", out, root=tree, workers=1, quiet=True)


def test_what_cannot_be_made_is_said_first(
    clean: Manifest, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., Manifest]
) -> None:
    monkeypatch.setenv("DFBENCH_ROOTS", "")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "d"
    with pytest.raises(DataError, match=r"needs the media of 'ff\+\+'.*no root") as error:
        degrade(clean, "JP60@source", out, quiet=True)
    assert "--root" in error.value.hint
    with pytest.raises(UsageError, match="degrades nothing"):
        degrade(clean, "clean", out, quiet=True)
    with pytest.raises(UsageError, match="unknown degradation"):
        degrade(clean, "jpg:q=60", out, quiet=True)
    with pytest.raises(UsageError, match="--patch"):
        prepare(out, condition="JP60", patch=True)
    assert not out.exists()
    jp60 = degrade(clean, "JP60", tmp_path / "jp60", workers=1, quiet=True)
    with pytest.raises(DataError, match="is already degraded, under JP60"):
        degrade(jp60, "ME5", out, quiet=True)
    monkeypatch.setattr("dfbench.preparation.planning.request.available", lambda condition: "there is no encoder")
    with pytest.raises(SetupError, match="h264:crf=30@clip is not available here: there is no encoder"):
        degrade(clean, "h264:crf=30", out, root=tree, quiet=True)


def test_other_media_than_those_prepared_are_noticed(clean: Manifest, tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "other"
    shutil.copytree(tree, root)
    path = rows(clean)[0]["media_path"]
    from dfbench.media.encode import write_clip

    write_clip(root / path, [np.full((240, 320, 3), 60, np.uint8)] * 5, 25, 23)
    with pytest.raises(DataError, match=r"not what the manifest was made from: frame [0-9]+ does not decode"):
        degrade(clean, "JP60@source", tmp_path / "d", root=root, workers=1, quiet=True)
    (root / path).unlink()
    with pytest.raises(DataError, match=r"does not hold the media of the manifest|does not exist"):
        degrade(clean, "JP60@source", tmp_path / "d", root=root, workers=1, quiet=True)


def test_the_parent_of_the_tree_serves_as_root(clean: Manifest, tree: Path, tmp_path: Path) -> None:
    parent = tmp_path / "data"
    parent.mkdir()
    (parent / "FaceForensics").symlink_to(tree)
    made = degrade(clean, f"{NOTHING}@source", tmp_path / "d", root=parent, workers=1, quiet=True)
    assert hashes(made) == hashes(clean)
    text = json.dumps(json.loads((made.path / "manifest.json").read_text("utf-8")))
    assert str(tree) not in text


def test_the_version_of_the_degrading_is_in_the_recipe(
    clean: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = degrade(clean, "JP60", tmp_path / "d", workers=1, quiet=True)
    assert made.info.recipe["degrade"]["version"] == degraded_module.VERSION
