"""A shard that gains or loses a clip copies the rows of its other scene groups; its bytes are those of a fresh one."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError
from dfbench.manifest.manifest import Manifest
from dfbench.preparation.execution import stored_rows
from dfbench.preparation.extraction.scene_reader import SceneReader
from dfbench.preparation.prepare import prepare

pytestmark = pytest.mark.slow


def write(root: Path, label: str, number: int, grey: int | None = None) -> Path:
    path = root / label / f"{number:04d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((24, 32, 3), number % 200 if grey is None else grey, np.uint8)
    cv2.imwrite(str(path), image)
    return path


def make(root: Path, out: Path, **options: object) -> Manifest:
    return prepare("folder", root, out, **({"sizes": [16], "workers": 1, "quiet": True} | options))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfbench.preparation.planning.sharding.LEAST_ROWS", 8)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded."""
    names: list[str] = []
    read = SceneReader.read

    def record(self, media, choose, callback):
        names.append(media.path)
        return read(self, media, choose, callback)

    monkeypatch.setattr(SceneReader, "read", record)
    return names


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(20):
        for label in ("real", "fake"):
            write(tmp_path / "tree", label, number)
    return tmp_path / "tree"


def shard_bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("shard-*.parquet"))]


def assert_fresh(root: Path, made: Manifest, tmp_path: Path) -> None:
    assert shard_bytes(made.path) == shard_bytes(make(root, tmp_path / "fresh").path)
    assert made.verify() == []


def test_only_new_and_changed_images_are_decoded(root, tmp_path, decoded):
    out = tmp_path / "m"
    assert len(make(root, out).info.shards) > 3
    assert len(decoded) == 40
    decoded.clear()
    write(root, "real", 100)
    write(root, "fake", 7, grey=250)
    os.utime(root / "real" / "0003.png")  # another time, the same content
    (root / "fake" / "0012.png").unlink()
    made = make(root, out, allow_missing=True)
    assert sorted(decoded) == ["fake/0007.png", "real/0100.png"]
    assert_fresh(root, made, tmp_path)


def test_images_with_rows_to_retry_are_decoded_again(root, tmp_path, decoded):
    out = tmp_path / "m"
    broken = root / "real" / "0005.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert make(root, out).info.counts["test"]["real"]["decode_error"] == 1
    decoded.clear()
    make(root, out, retry=["decode_error"])
    assert decoded == ["real/0005.png"]


@pytest.mark.parametrize("column", ["status", "media_id", "reason"])
@pytest.mark.parametrize("change", ["without it", "with numbers", "with records"])
def test_a_finished_shard_with_other_columns_is_named(column, change, root, tmp_path):
    """Its stamp is right, as in a folder that a stranger wrote or another program rewrote."""
    out = tmp_path / "m"
    make(root, out)
    path = out / "shard-00000.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    values = {"with numbers": [1] * len(table), "with records": [{column: "ok"}] * len(table)}.get(change)
    changed = table.remove_column(place) if values is None else table.set_column(place, column, pa.array(values))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    for options in ({}, {"retry": ["no_face"]}):
        with pytest.raises(DataError, match=r"shard-00000\.parquet"):
            make(root, out, **options)
    path.unlink()
    assert_fresh(root, make(root, out), tmp_path)


@pytest.mark.parametrize("trouble", ["a flipped byte", "other versions", "other content"])
def test_rows_that_cannot_be_trusted_are_made_again(trouble, root, tmp_path, decoded, monkeypatch):
    out = tmp_path / "m"
    before = make(root, out)
    decoded.clear()
    if trouble == "a flipped byte":
        for shard in before.info.shards:
            data = bytearray((out / shard.file).read_bytes())
            data[200] ^= 1
            (out / shard.file).write_bytes(bytes(data))
    elif trouble == "other versions":
        monkeypatch.setattr(stored_rows, "pixel_versions", lambda: {"av": "0"})
    else:
        write(root, "real", 1, grey=254)
    for name in ("real/0001.png", "fake/0001.png"):
        os.utime(root / name)  # so that their shards are made again
    make(root, out)
    assert "real/0001.png" in decoded
    assert ("fake/0001.png" in decoded) == (trouble != "other content")
    assert len(decoded) == 1 if trouble == "other content" else len(decoded) > 4
