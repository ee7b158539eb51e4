"""Whatever a shard file contains, every reader gives rows, findings or a DataError."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError
from dfbench.io import file_sha256
from dfbench.manifest import shards
from dfbench.manifest.contact_sheet import write_contact_sheet
from dfbench.manifest.info import content_hash, read_info, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.summary import breakdown
from dfbench.manifest.verify import verify
from dfbench.media.images import encode_png
from dfbench.preparation.derived.degrade import degrade

SHARD = "shard-00000.parquet"
SEED, DAMAGED = 20260, 36


@pytest.fixture(scope="module")
def small(build: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged") / "m"
    return build(folder, sizes=(16,), subsets=("c23",), splits=("test",), frames=2).path


def accept_hash(folder: Path) -> None:
    """Let manifest.json state the hash that the damaged shard has, as the author of a hostile manifest would."""
    info = read_info(folder)
    shards = (info.shards[0].model_copy(update={"sha256": file_sha256(folder / SHARD)}),)
    write_info(folder, info.model_copy(update={"shards": shards, "hash": content_hash(shards)}))


def sheet(folder: Path) -> None:
    write_contact_sheet(open_manifest(folder), folder.parent / "faces.png", 2)


def crops(folder: Path) -> None:
    manifest = open_manifest(folder)
    ok = [row["sample_id"] for row in manifest.table(["sample_id", "status"]).to_pylist() if row["status"] == "ok"]
    assert all(image.shape[2] == 3 for image in manifest.crops(ok, 16))


def derived(folder: Path) -> None:
    degrade(folder, "jpeg:q=60", folder.parent / "degraded", workers=1, quiet=True)


READERS = {
    "inspect": lambda folder: breakdown(open_manifest(folder)),
    "inspect --faces": sheet,
    "crops": crops,
    "table": lambda folder: open_manifest(folder).to_pandas(),
    "degrade": derived,
}


def read_all(folder: Path) -> set[str]:
    """The readers that refuse a manifest; any exception but a DataError fails the test."""
    refused = set()
    for name, reader in READERS.items():
        shutil.rmtree(folder.parent / "degraded", ignore_errors=True)
        try:
            reader(folder)
        except DataError:
            refused.add(name)
    return refused


def damage(data: bytes, kind: int, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    if kind == 0:
        return data[: int(rng.integers(0, len(data)))]
    if kind == 1:  # anywhere: mostly in images
        places = rng.integers(0, len(data), int(rng.integers(1, 40)))
    elif kind == 2:  # the footer: schema, offsets, lengths, statistics
        places = len(data) - 1 - rng.integers(0, 6000, int(rng.integers(1, 8)))
    else:  # a block of the file replaced by another
        start, stop = sorted(rng.integers(0, len(data), 2).tolist())
        return bytes(changed[:start]) + bytes(changed[stop:])
    for place in places:
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def test_flipped_cut_and_truncated_shards(small: Path, tmp_path: Path) -> None:
    data = (small / SHARD).read_bytes()
    rng = np.random.default_rng(SEED)
    found = refused = 0
    for number in range(DAMAGED):
        folder = tmp_path / "m"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small, folder)
        (folder / SHARD).write_bytes(damage(data, number % 4, rng))
        accept_hash(folder)
        problems = verify(folder)
        assert not [p for p in problems if p.kind == "hash"]
        found += bool(problems)
        refused += bool(read_all(folder))
    assert found > DAMAGED * 3 // 4
    assert refused > DAMAGED // 2


def column(name: str, value: object, kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    """The first value of a column replaced; with a type, the whole column."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        values = [value] * len(table) if kind else [value, *table[name].to_pylist()[1:]]
        field = pa.field(name, kind or field.type, field.nullable or value is None, field.metadata)
        return table.set_column(place, field, pa.array(values, field.type))

    return change


BIG = {"bytes": encode_png(np.zeros((24, 16, 3), np.uint8)), "path": None}
CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str, set[str]]] = {
    # change -> kind of the finding, and the readers that must refuse
    "a crop of another size": (column("crop_16", BIG), "crop", {"inspect --faces", "degrade"}),
    "a crop that is no image": (column("crop_16", {"bytes": b"x", "path": None}), "crop", {"inspect --faces", "crops"}),
    "no crop": (column("crop_16", None), "crop", {"inspect --faces", "crops", "degrade"}),
    "an unknown status": (column("status", "fine"), "status", {"inspect", "crops", "table", "degrade"}),
    "no status": (column("status", None), "schema", {"inspect", "table", "degrade"}),
    "a third label": (column("label", 7), "value", {"inspect", "table", "degrade"}),
    "a path that leads outside": (column("media_path", "../../x.mp4"), "path", {"table", "degrade"}),
    "a rooted path": (column("media_path", "/etc/passwd"), "path", {"table", "degrade"}),
    "a path with a drive": (column("media_path", "C:\\x.mp4"), "path", {"table", "degrade"}),
    "a path inside an archive that leads outside": (column("media_path", "a.tar!/../../x"), "path", {"table"}),
    "a mask that leads outside": (column("media_mask_path", "masks/../../x.mp4"), "path", {"table", "degrade"}),
    "a source id that is a number": (column("source_media_id", 5, pa.int64()), "schema", {"table", "degrade"}),
    "a frame without pixels": (column("width", 0), "value", {"table", "degrade"}),
    "infinitely many frames": (column("frame_count", 2**31 - 1), "value", {"table", "degrade"}),
    "a box of three numbers": (column("box", [1, 2, 3]), "schema", {"table", "degrade"}),
    "a box that is not finite": (column("box", [1, 2, float("nan"), 4]), "value", {"table", "degrade"}),
    "labels that are words": (column("label", "fake", pa.string()), "schema", {"inspect", "table", "degrade"}),
    "ids that are numbers": (column("media_id", 5, pa.int64()), "schema", {"inspect", "table", "degrade"}),
    "crops that are numbers": (column("crop_16", 5, pa.int64()), "schema", {"crops", "degrade", "inspect --faces"}),
    "a column missing": (lambda table: table.drop_columns(["manipulation"]), "schema", {"inspect", "degrade"}),
    "a row missing": (lambda table: table.slice(1), "rows", {"inspect", "table"}),
    "no rows": (lambda table: table.slice(0, 0), "rows", {"inspect", "table"}),
}


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.read_table(folder / SHARD)
    changed = change(table)
    pq.write_table(changed, folder / SHARD, compression="NONE", use_dictionary=False)
    accept_hash(folder)


@pytest.mark.parametrize("name", CHANGES)
def test_values_that_no_row_may_have(small: Path, tmp_path: Path, name: str) -> None:
    change, kind, refusing = CHANGES[name]
    folder = tmp_path / "m"
    shutil.copytree(small, folder)
    rewrite(folder, change)
    assert kind in {p.kind for p in verify(folder)}
    assert refusing <= read_all(folder)


def test_findings_name_the_shard_and_hide_control_characters(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(small, folder)
    (folder / SHARD).write_bytes(b"PAR1" + b"\x1b[31m" * 200 + b"PAR1")
    accept_hash(folder)
    problems = verify(folder)
    assert [(p.kind, p.where) for p in problems] == [("file", SHARD)]
    assert "\x1b" not in problems[0].message


def test_a_medium_in_two_shards(build: Callable[..., Manifest], tmp_path: Path) -> None:
    folder = build(tmp_path / "m", sizes=(16,), subsets=("c23",), splits=("test", "val"), frames=1).path
    shutil.copyfile(folder / SHARD, folder / "shard-00001.parquet")
    info: Any = read_info(folder)
    shards = tuple(s.model_copy(update={"sha256": info.shards[0].sha256}) for s in info.shards)
    write_info(folder, info.model_copy(update={"shards": shards, "hash": content_hash(shards)}))
    messages = [p.message for p in verify(folder) if p.kind == "id"]
    assert messages == [f"6 media are in two shards, first: {SHARD} and shard-00001.parquet"]


def test_a_lack_of_memory_is_no_damage(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable")

    monkeypatch.setattr(shards.pq, "ParquetFile", fails)
    monkeypatch.setattr(shards, "memory_is_left", lambda: True)
    with pytest.raises(DataError, match="cannot be read"):
        shards.open_shard(small / SHARD)
    monkeypatch.setattr(shards, "memory_is_left", lambda: False)
    with pytest.raises(MemoryError, match="Failed to launch worker thread"):
        shards.open_shard(small / SHARD)
    with pytest.raises(MemoryError):
        shards.read_stamp(small / SHARD)  # else a finished shard would count as unfinished
