"""prepare() on small trees: statuses, bad input, determinism and readers of the shards."""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.io import file_sha256
from dfbench.media.encode import write_clip
from dfbench.media.reader import read
from dfbench.preparation.execution.output_folder import locked
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.shard_plan import plan_shards
from dfbench.preparation.prepare import prepare, run_plan
from dfbench.schema.manifest import MANIFEST

pytestmark = pytest.mark.slow

FAKE = "manipulated_sequences/Deepfakes/c23/videos/000_003.mp4"
REAL = "original_sequences/youtube/c23/videos/000.mp4"


def small(root: Path, out: Path, **options):
    return prepare("ff++", root, out, **({"frames": 3, "sizes": [64], "workers": 1, "quiet": True} | options))


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("shard-*.parquet"))}


@pytest.fixture(scope="module")
def made(tree, tmp_path_factory):
    return small(tree, tmp_path_factory.mktemp("made") / "m", frames=4, sizes=[96, 64])


def test_every_requested_frame_has_a_row_in_order(made):
    table = made.to_pandas()
    assert len(table) == 18 * 4
    assert list(table["sample_id"]) == list(table.sort_values(["scene_group", "media_id", "frame_index"])["sample_id"])
    first = table[table["media_id"] == "ff++/c23/Deepfakes/000_003"]
    assert first["frame_count"].nunique() == 1
    n = int(first["frame_count"].iloc[0])
    assert first["frame_index"].tolist() == np.round(np.linspace(0, n - 1, 4)).astype(int).tolist()
    assert set(table["status"]) == {"ok"}
    MANIFEST.check(made.table())


def test_crops_hold_the_face_that_the_matrix_says(made, tree):
    row = made.table().slice(5, 1).to_pylist()[0]
    (crop,) = made.crops([row["sample_id"]], 96)
    frame = read(tree / row["media_path"], lambda _: [row["frame_index"]]).frames[row["frame_index"]].image
    matrix = np.array(row["matrix"]).reshape(2, 3)
    again = cv2.warpAffine(frame, matrix, (96, 96), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(crop.astype(int) - again.astype(int)).mean() < 6
    assert row["scale"] == pytest.approx(np.sqrt(np.linalg.det(matrix[:, :2])), rel=1e-5)
    eyes = matrix @ np.array([*row["landmarks"][:2], 1])
    assert (eyes > 0).all()
    assert (eyes < 96).all()


def test_manifest_json_says_how_it_was_made(made):
    info = made.info
    assert info.complete
    assert info.counts["test"] == {"real": {"ok": 8}, "fake": {"ok": 16}}
    assert info.sizes == (64, 96)
    assert info.recipe["sampling"] == {"rule": "frames", "frames": 4}
    assert info.missing["c23"]["val"]["fake"]["Deepfakes"] == 138
    assert {"av", "numpy", "opencv", "onnxruntime", "pyarrow", "dfbench"} <= set(info.versions)
    assert made.verify() == []


def test_two_workers_give_the_same_bytes_as_one(made, tree, tmp_path):
    other = small(tree, tmp_path / "two", frames=4, sizes=[64, 96], workers=2)
    assert len(other.info.shards) > 1
    assert shard_bytes(other.path) == shard_bytes(made.path)
    assert other.info.hash == made.info.hash


def test_finished_shards_are_not_made_again(made, monkeypatch, tree):
    before = {p: p.stat().st_mtime_ns for p in made.path.iterdir()}
    again = small(tree, made.path, frames=4, sizes=[64, 96])
    assert again.info == made.info
    assert {p: p.stat().st_mtime_ns for p in made.path.iterdir()} == before


def test_a_lost_shard_and_a_new_pair_are_made_up_for(tree, tmp_path):
    out = tmp_path / "m"
    first = small(tree, out, frames=4, sizes=[64])
    wanted = shard_bytes(out)
    (out / first.info.shards[0].file).unlink()
    kept = (out / first.info.shards[1].file).stat().st_mtime_ns
    second = small(tree, out, frames=4, sizes=[64])
    assert shard_bytes(out) == wanted
    assert (out / first.info.shards[1].file).stat().st_mtime_ns == kept
    assert second.info == first.info


def test_shards_open_with_datasets_and_duckdb(made, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    files = [str(made.path / s.file) for s in made.info.shards]
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    image = loaded[0]["crop_64"]
    (crop,) = made.crops([loaded[0]["sample_id"]], 64)
    assert np.array_equal(np.asarray(image.convert("RGB")), crop)
    assert len(loaded) == len(made.to_pandas())
    assert len(loaded[0]["box"]) == 4
    query = f"select label, count(*) from '{made.path}/shard-*.parquet' group by label order by label"
    assert duckdb.sql(query).fetchall() == [(0, 24), (1, 48)]


def damaged_statuses(root: Path, out: Path, clip: str):
    table = small(root, out).to_pandas()
    assert len(table) == 6 * 3
    bad = table[table["media_path"] == clip]
    assert set(table[table["media_path"] != clip]["status"]) == {"ok"}
    return bad


def test_clip_cut_in_half(pair_tree, tmp_path):
    root = pair_tree(frames=20)
    data = (root / FAKE).read_bytes()
    (root / FAKE).write_bytes(data[: len(data) // 2])
    bad = damaged_statuses(root, tmp_path / "m", FAKE)
    assert set(bad["status"]) <= {"ok", "decode_error"}
    assert all(r for s, r in zip(bad["status"], bad["reason"], strict=True) if s != "ok")


@pytest.mark.parametrize("content", [b"", b"this is no film, whatever its name says\n" * 50])
def test_empty_file_and_text_named_mp4(pair_tree, tmp_path, content):
    root = pair_tree()
    (root / FAKE).write_bytes(content)
    bad = damaged_statuses(root, tmp_path / "m", FAKE)
    assert bad["status"].tolist() == ["decode_error"] * 3
    assert bad["frame_index"].tolist() == [-1, -2, -3]
    assert bad["reason"].str.len().min() > 0
    assert not bad["reason"].str.contains(str(root), regex=False).any()


def test_no_face_in_any_frame(pair_tree, tmp_path):
    root = pair_tree()
    plain = [np.full((240, 320, 3), 60 + n, np.uint8) for n in range(5)]
    write_clip(root / REAL, plain, 25, 23)
    bad = damaged_statuses(root, tmp_path / "m", REAL)
    assert bad["status"].tolist() == ["no_face"] * 3
    assert bad["face_count"].tolist() == [0, 0, 0]
    assert bad["box"].isna().all()


def test_still_image_gives_one_row(pair_tree, tmp_path):
    root = pair_tree()
    image = read(root / REAL, lambda _: [0]).frames[0].image
    (root / REAL).write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    table = small(root, tmp_path / "m").to_pandas()
    rows = table[table["media_path"] == REAL]
    assert rows["frame_index"].tolist() == [0]
    assert rows["status"].tolist() == ["ok"]


def test_file_that_vanishes_after_planning(pair_tree, tmp_path):
    root = pair_tree()
    plan = plan_shards(make_recipe(PreparationRequest("ff++", frames=3, sizes=(64,))), root)
    (root / FAKE).unlink()
    table = run_plan(plan, tmp_path / "m", 1, quiet=True).to_pandas()
    gone = table[table["media_path"] == FAKE]
    assert gone["status"].tolist() == ["missing_media"] * 3
    assert gone["frame_index"].tolist() == [-1, -2, -3]


def test_short_clip_gives_as_many_rows_as_it_has_frames(pair_tree, tmp_path):
    root = pair_tree()
    image = read(root / REAL, lambda _: [0]).frames[0].image
    write_clip(root / REAL, [image, image], 25, 23)
    table = small(root, tmp_path / "m", frames=5).to_pandas()
    assert table[table["media_path"] == REAL]["frame_index"].tolist() == [0, 1]


def test_roots_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("DFBENCH_ROOTS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no root") as error:
        prepare("ff++")
    assert "DFBENCH_ROOTS" in error.value.hint
    with pytest.raises(DataError, match="not a folder"):
        small(tmp_path / "nosuch", tmp_path / "m")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no FaceForensics"):
        small(tmp_path / "empty", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_folder_with_another_recipe_version_or_foreign_files(made, tree, tmp_path):
    with pytest.raises(UsageError, match="sampling") as error:
        small(tree, made.path, frames=5, sizes=[64, 96])
    assert "--out" in error.value.hint
    old = tmp_path / "old"
    old.mkdir()
    (old / "manifest.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(DataError, match="version 99"):
        small(tree, old)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match=r"thesis\.tex"):
        small(tree, foreign)
    assert (foreign / "thesis.tex").read_text() == "x"
    with pytest.raises(UsageError, match="is a file"):
        small(tree, foreign / "thesis.tex")


def test_one_run_at_a_time_and_stale_locks(tree, tmp_path):
    out = tmp_path / "m"
    with locked(out), pytest.raises(SetupError, match=f"process {os.getpid()}"):
        small(tree, out)
    (out / ".lock").write_text("99999999")  # as a killed run leaves it
    assert small(tree, out, splits=["val"]).info.complete
    assert not (out / ".lock").exists()


def test_leftovers_of_a_killed_run_do_no_harm(tree, tmp_path):
    out = tmp_path / "m"
    out.mkdir()
    (out / ".tmp-shard-00000-123").write_bytes(b"half")
    (out / ".tmp-tally-00000").write_bytes(b"\1\0\0\0\2")
    (out / "shard-00077.parquet").write_bytes(b"stale")
    manifest = small(tree, out, splits=["val"])
    assert manifest.verify() == []
    wanted = {"manifest.json", "media-state.parquet", "prepare-log.jsonl", *(s.file for s in manifest.info.shards)}
    assert {p.name for p in out.iterdir()} == wanted


def test_row_groups_and_storage(made):
    file = pq.ParquetFile(made.path / made.info.shards[0].file)
    names = file.schema_arrow.names
    for group in range(file.metadata.num_row_groups):
        assert file.metadata.row_group(group).num_rows <= 256
        compressions = {file.metadata.row_group(group).column(c).compression for c in range(len(names))}
        assert compressions == {"UNCOMPRESSED"}
    data = file.read(columns=["crop_64"])["crop_64"][0].as_py()["bytes"]
    assert cv2.imdecode(np.frombuffer(BytesIO(data).read(), np.uint8), cv2.IMREAD_COLOR).shape == (64, 64, 3)


def test_rows_state_what_their_medium_is(made, tree):
    assert made.info.face_detector_runtime.startswith("onnxruntime ")
    table = made.table()
    assert all(table[name].null_count == len(table) for name in ("media_mask_path", "clip_index", "base_shift"))
    for row in table.to_pylist():
        file = tree / row["media_path"]
        assert (row["media_size"], row["media_sha256"]) == (file.stat().st_size, file_sha256(file))
        assert (row["media_format"], row["codec"], row["fps"]) == ("mov", "h264", 25.0)
    sources = {row["media_id"]: row["source_media_id"] for row in table.to_pylist()}
    assert sources["ff++/c23/FaceSwap/071_054"] == "ff++/c23/real/054"
    assert sources["ff++/c23/real/054"] is None
