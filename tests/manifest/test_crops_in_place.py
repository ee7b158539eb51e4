"""Crops are read where they lie in a shard, and decoded by row group only where they do not lie there as they are."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError
from dfbench.manifest import crops as crops_module
from dfbench.manifest.crops import StoredCrops, stored_crops
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.page_positions import ColumnChunk, NotInPlaceError, read_levels, value_positions
from dfbench.manifest.shard_source import LocalFiles
from dfbench.schema.manifest import ShardInfo

ROWS = 60


def write(folder: Path, values: list[bytes | None], **options: Any) -> tuple[ShardInfo, ...]:
    """Write a shard that has crops alone; the options are those of Parquet."""
    folder.mkdir(exist_ok=True, parents=True)
    column = [None if value is None else {"bytes": value, "path": None} for value in values]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    plain: dict[str, Any] = {"compression": "NONE", "use_dictionary": False, "row_group_size": 25}
    pq.write_table(pa.table({"crop_8": pa.array(column, kind)}), folder / "shard-00000.parquet", **plain | options)
    return (ShardInfo(file="shard-00000.parquet", sha256="0" * 64, rows=len(values)),)


def random_values(seed: int = 0, nulls: float = 0.2) -> list[bytes | None]:
    rng = np.random.default_rng(seed)
    return [None if rng.random() < nulls else rng.bytes(int(rng.integers(0, 300))) for _ in range(ROWS)]


def read_all(folder: Path, shards: tuple[ShardInfo, ...], values: list[bytes | None]) -> StoredCrops:
    rows = np.array([row for row, value in enumerate(values) if value is not None], np.int64)[::-1].copy()
    crops = StoredCrops(LocalFiles(folder), shards, rows, 8)
    assert [crops[i] for i in range(len(crops))] == [values[row] for row in rows]
    return crops


@pytest.fixture
def group_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups that are decoded."""
    reads: list[int] = []
    original = pq.ParquetFile.read_row_group

    def spy(self: pq.ParquetFile, number: int, **options: Any) -> pa.Table:
        reads.append(number)
        return original(self, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    return reads


@pytest.mark.parametrize("page", [64, 1 << 20])
@pytest.mark.parametrize("nulls", [0.0, 0.2, 0.9])
def test_plain_values_are_read_in_place(tmp_path: Path, group_reads: list[int], page: int, nulls: float) -> None:
    values = random_values(nulls=nulls)
    shards = write(tmp_path, values, data_page_size=page, write_batch_size=4)
    crops = read_all(tmp_path, shards, values)
    read_all(tmp_path, shards, values)
    assert group_reads == []
    again = pickle.loads(pickle.dumps(crops))
    assert again[0] == crops[0]


@pytest.mark.parametrize(
    "options", [{"compression": "zstd"}, {"use_dictionary": True}, {"data_page_version": "2.0"}], ids=str
)
def test_other_storage_is_decoded_by_row_group(
    tmp_path: Path, group_reads: list[int], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(crops_module, "MOST_DECODED", 2)
    values = random_values()
    crops = read_all(tmp_path, write(tmp_path, values, **options), values)
    assert sorted(group_reads) == [0, 1, 2], "each once, in this order of rows"
    assert len(crops._decoded) == 2


@settings(max_examples=30, deadline=None)
@given(present=st.lists(st.booleans(), min_size=1, max_size=200), runs=st.booleans())
def test_positions_are_those_of_arrow(
    tmp_path_factory: pytest.TempPathFactory, present: list[bool], runs: bool
) -> None:
    if runs:
        present = sorted(present)
    values = [bytes([number % 251]) * (number % 7) if there else None for number, there in enumerate(present)]
    folder = tmp_path_factory.mktemp("p")
    write(folder, values, data_page_size=50, write_batch_size=8, row_group_size=1000)
    data = (folder / "shard-00000.parquet").read_bytes()
    column = pq.ParquetFile(folder / "shard-00000.parquet").metadata.row_group(0).column(0)
    start = column.data_page_offset
    chunk = ColumnChunk(start, start + column.total_compressed_size, len(values), 2)
    found = value_positions(lambda place, length: data[place : place + length], chunk)
    assert [data[a:b] if a >= 0 else None for a, b in found.tolist()] == values


def test_packed_and_repeated_levels() -> None:
    packed = bytes([3, 0b11100100, 0b00011011])  # one group of eight values of two bits
    assert read_levels(packed, 8, 2).tolist() == [0, 1, 2, 3, 3, 2, 1, 0]
    assert read_levels(bytes([10, 2]) + packed, 7, 2).tolist() == [2] * 5 + [0, 1]
    for broken in (b"", b"\x03\x01", b"\x80", b"\x00\x01"):
        with pytest.raises(NotInPlaceError):
            read_levels(broken, 8, 2)


def test_a_damaged_length_is_not_followed(tmp_path: Path) -> None:
    values: list[bytes | None] = [b"a" * 100] * ROWS
    shards = write(tmp_path, values)
    file = tmp_path / "shard-00000.parquet"
    file.write_bytes(file.read_bytes().replace(b"\x64\0\0\0aaaa", b"\x64\0\0\x7faaaa", 1))
    crops = StoredCrops(LocalFiles(tmp_path), shards, np.arange(ROWS), 8)
    with pytest.raises(DataError, match=r"shard-00000\.parquet cannot be read"):
        crops[0]
    assert crops[ROWS - 1] == b"a" * 100


def test_files_that_are_not_the_manifests(tmp_path: Path) -> None:
    shards = write(tmp_path, random_values(nulls=0.5))
    missing = random_values(nulls=0.5).index(None)
    with pytest.raises(DataError, match=f"has no crop in row {missing}"):
        StoredCrops(LocalFiles(tmp_path), shards, np.array([missing]), 8)[0]
    with pytest.raises(DataError, match=r"not the shard that manifest\.json describes"):
        StoredCrops(LocalFiles(tmp_path), shards, np.array([0]), 16)[0]
    with pytest.raises(DataError, match=r"cannot be read"):
        LocalFiles(tmp_path).read("none.parquet", 0, 4)
    with pytest.raises(DataError, match="ends too early"):
        LocalFiles(tmp_path).read("shard-00000.parquet", 0, 1 << 20)


def test_a_limited_number_of_files_is_open(
    manifest: Manifest, image_of: Callable[[str, int], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalFiles, "most_open", 1)
    rows = np.flatnonzero(np.asarray(manifest.table(["status"])["status"]) == "ok")
    crops = stored_crops(manifest, rows, 64)
    ids = manifest.table(["sample_id"])["sample_id"].to_pylist()
    from dfbench.media.images import decode_image

    for index in np.random.default_rng(0).permutation(len(rows))[:40].tolist():
        assert np.array_equal(decode_image(crops[index]), image_of(ids[rows[index]], 64))
    source: Any = crops._source
    assert len(source._open) == 1
