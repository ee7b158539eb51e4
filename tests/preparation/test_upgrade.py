"""Format 2 is read as it is and converted without the videos; format 3 records what later analyses need."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench import open_manifest
from dfbench.errors import DataError, UsageError
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.row_checks import alignment_problems
from dfbench.manifest.shards import read_shard
from dfbench.preparation.derived import upgrade as module
from dfbench.preparation.derived.upgrade import upgrade
from dfbench.preparation.extraction.rows import with_runs
from dfbench.schema.manifest import MANIFEST

STORED = Path(__file__).resolve().parents[1] / "compat" / "v0_1_0" / "manifest"
NEW = [column.name for column in MANIFEST.columns if column.optional]
OLD = [column.name for column in MANIFEST.columns if not column.optional]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A manifest of format 2: five clips of mini in each of three splits, in one shard."""
    return Path(shutil.copytree(STORED, tmp_path / "old"))


def plain(manifest: Manifest) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = manifest.table([*OLD, "crop_32", "sha256_32"]).to_pylist()
    return rows


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_format_2_reads_with_nulls(old: Path) -> None:
    manifest = open_manifest(old)
    assert manifest.info.format_version == 2
    table = manifest.table()
    assert set(NEW) <= set(table.column_names)
    assert all(table[name].null_count == len(table) for name in NEW)
    assert [name for name in table.column_names if name in OLD] == OLD
    first = read_shard(old / "shard-00000.parquet", ["codec", "sample_id"])
    assert first.column_names == ["codec", "sample_id"]
    assert manifest.verify() == []


def test_upgrade_in_place(old: Path) -> None:
    before = plain(open_manifest(old))
    hash_before = open_manifest(old).info.hash
    made = upgrade(old, workers=1, quiet=True)
    assert made.path == old
    assert made.verify() == []
    assert plain(made) == before
    assert made.info.upgraded == {"format_version": 2, "hash": hash_before}
    assert made.info.hash != hash_before
    assert made.info.face_detector_runtime.startswith("onnxruntime 1.")
    rows = made.to_pandas(["media_id", "label", "source_media_id", "media_size"])
    sources = dict(zip(rows["media_id"], rows["source_media_id"], strict=True))
    assert sources["mini/c23/FaceSwap/071_054"] == "mini/c23/real/054"
    assert rows.loc[rows["label"] == 0, "source_media_id"].isna().all()
    assert rows["media_size"].isna().all()
    assert {path.name for path in old.iterdir()} == {path.name for path in STORED.iterdir()}
    again = contents(old)
    assert upgrade(old, quiet=True).info == made.info
    assert contents(old) == again


def test_upgrade_to_another_folder_gives_the_same_shards(old: Path, tmp_path: Path) -> None:
    before = contents(old)
    copy = upgrade(old, tmp_path / "new", workers=1, quiet=True)
    assert contents(old) == before
    placed = upgrade(old, workers=1, quiet=True)
    assert [s.sha256 for s in copy.info.shards] == [s.sha256 for s in placed.info.shards]
    with pytest.raises(UsageError, match="current format"):
        upgrade(old, tmp_path / "third", quiet=True)
    with pytest.raises(DataError, match="no manifest folder"):
        upgrade(tmp_path / "nothing")


def test_a_killed_upgrade_leaves_the_old_manifest_and_goes_on(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = plain(open_manifest(old))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            upgrade(old, workers=1, quiet=True)
    assert open_manifest(old).info.format_version == 2
    assert open_manifest(old).verify() == []
    with monkeypatch.context() as patch:
        patch.setattr(module, "make_shards", lambda tasks, _: killed() if tasks else [])
        made = upgrade(old, workers=1, quiet=True)  # the converted shard is not made again
    assert plain(made) == rows
    assert not list(old.glob(".new-*"))


def test_a_damaged_shard_is_refused(old: Path) -> None:
    file = old / "shard-00000.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        upgrade(old, quiet=True)
    assert file.read_bytes() == bytes(data)


def test_columns_of_format_3_are_required_there(old: Path) -> None:
    made = upgrade(old, workers=1, quiet=True)
    file = old / made.info.shards[0].file
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["codec"]), file)
    kinds = {problem.kind for problem in open_manifest(old).verify()}
    assert {"hash", "schema"} <= kinds


def test_rows_state_their_run_of_frames() -> None:
    rows = [{"frame_index": n} for n in (4, 5, 0, 0, 1, 6, 7, -1)]
    assert [row["clip_index"] for row in with_runs(rows, 2)] == [1, 1, 0, 0, 0, 2, 2, None]


def test_one_matrix_for_a_run_of_frames() -> None:
    names = ["media_id", "face_index", "clip_index", "status", "matrix"]
    rows = [("a", 0, 0, "ok", [1.0]), ("a", 0, 0, "ok", [1.0]), ("a", 0, 1, "ok", [2.0]), ("a", 0, 1, "no_face", None)]
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    assert not list(alignment_problems(table))
    other = pa.concat_tables([table, table.slice(2, 1).set_column(4, "matrix", [[[3.0]]])])
    assert list(alignment_problems(other)) == ["frames of run 1 of a have different matrices"]
    alone = table.set_column(2, "clip_index", [pa.array([0, None, 1, 1], pa.int64())])
    assert list(alignment_problems(alone)) == ["crops of runs of frames have no clip_index"]
