"""verify names what is wrong; the contact sheet shows the crops."""

from __future__ import annotations

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench.errors import UsageError
from dfbench.io import file_sha256
from dfbench.manifest.contact_sheet import choose, write_contact_sheet
from dfbench.manifest.info import content_hash, read_info, write_info
from dfbench.manifest.verify import verify
from dfbench.media.images import encode_png

pytestmark = pytest.mark.slow


def rewrite(folder, change, cheat=True):
    """Change a shard's table; with ``cheat``, manifest.json's hashes follow."""
    path = folder / "shard-00000.parquet"
    table = change(pq.read_table(path))
    pq.write_table(table, path)
    info = read_info(folder)
    if cheat:
        first = info.shards[0].model_copy(update={"sha256": file_sha256(path)})
        shards = (first, *info.shards[1:])
        write_info(folder, info.model_copy(update={"shards": shards, "hash": content_hash(shards)}))


def replaced(table, name, values):
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def kinds(folder):
    return {p.kind for p in verify(folder)}


def test_a_good_manifest(manifest):
    assert verify(manifest.path) == []
    assert manifest.verify() == []


def test_changed_bytes(build, tmp_path):
    folder = build(tmp_path / "m").path
    shard = folder / "shard-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    problems = verify(folder)
    assert ("hash", "shard-00001.parquet") in {(p.kind, p.where) for p in problems}


def test_missing_and_unlisted_shards(build, tmp_path):
    folder = build(tmp_path / "m").path
    (folder / "shard-00001.parquet").rename(folder / "shard-00009.parquet")
    found = {(p.kind, p.where) for p in verify(folder)}
    assert {("file", "shard-00001.parquet"), ("file", "shard-00009.parquet")} <= found


def test_other_pixels_behind_a_right_file_hash(build, tmp_path):
    folder = build(tmp_path / "m").path
    other = encode_png(np.zeros((128, 128, 3), np.uint8))

    def change(table):
        cells = table["crop_128"].to_pylist()
        cells[0] = {"bytes": other, "path": None}
        cells[1] = {"bytes": b"no image", "path": None}
        cells[2] = None
        return replaced(table, "crop_128", cells)

    rewrite(folder, change)
    problems = [p for p in verify(folder) if p.kind == "crop"]
    assert [p.where.split("#")[1] for p in problems] == ["000000.0", "000001.0", "000002.0"]
    assert "do not match its hash" in problems[0].message
    assert "does not decode" in problems[1].message
    assert "is missing" in problems[2].message


def test_repeated_ids_counts_and_lost_rows(build, tmp_path):
    folder = build(tmp_path / "m").path
    rewrite(folder, lambda t: replaced(t, "sample_id", [t["sample_id"][0].as_py(), *t["sample_id"].to_pylist()[:-1]]))
    assert "id" in kinds(folder)
    folder = build(tmp_path / "n").path
    rewrite(folder, lambda t: replaced(t, "label", [1 - v for v in t["label"].to_pylist()]))
    assert kinds(folder) == {"counts"}
    folder = build(tmp_path / "o").path
    rewrite(folder, lambda t: t.slice(1))
    assert {"rows", "counts"} <= kinds(folder)
    folder = build(tmp_path / "p").path
    rewrite(folder, lambda t: t.drop_columns(["class"]))
    assert kinds(folder) == {"schema", "counts"}


def test_a_shard_of_another_recipe(build, tmp_path):
    folder = build(tmp_path / "m").path
    info = read_info(folder)
    write_info(folder, info.model_copy(update={"recipe_hash": "other"}))
    assert kinds(folder) == {"recipe"}


def test_unfinished(build, tmp_path):
    assert kinds(build(tmp_path / "m", complete=False).path) == {"unfinished"}


def test_contact_sheet_holds_the_crops(manifest, image_of, tmp_path):
    file = tmp_path / "faces.png"
    write_contact_sheet(manifest, file, per_row=3)
    sheet = cv2.imread(str(file))[:, :, ::-1]
    rows = choose(manifest, 3)
    samples = manifest.table(["sample_id"])["sample_id"]
    assert [caption for caption, _ in rows] == [
        "real c23 (real)", "real c40 (real)", "Deepfakes c23 (fake)", "Deepfakes c40 (fake)", "FaceSwap c23 (fake)",
        "FaceSwap c40 (fake)",
    ]  # fmt: skip
    shown = {sheet[y : y + 64, x : x + 64].tobytes() for y in range(sheet.shape[0] - 63) for x in (6, 76, 146)}
    assert all(image_of(samples[n].as_py(), 64).tobytes() in shown for _, numbers in rows for n in numbers)


def test_contact_sheet_that_cannot_be_written(manifest, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file, not a folder"):
        write_contact_sheet(manifest, tmp_path / "file" / "faces.png")
