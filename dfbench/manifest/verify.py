"""Check that a manifest is consistent: files, hashes, rows, identifiers, counts and the pixels of every crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.errors import DataError, DfbenchError
from dfbench.io import file_sha256
from dfbench.manifest.info import content_hash, read_info
from dfbench.manifest.shards import read_stamp
from dfbench.manifest.summary import count_rows
from dfbench.media.images import decode_image, pixel_hash
from dfbench.schema.manifest import MANIFEST, STATUSES, ManifestInfo, crop_columns, extra_columns


@dataclass(frozen=True)
class Problem:
    """One inconsistency.

    Attributes:
        kind: short name of the check: unfinished, file, hash, rows, recipe, schema, id, status, crop, mask,
            patch, counts.
        where: file or sample.
        message: what is wrong.
    """

    kind: str
    where: str
    message: str


def verify(folder: Path) -> list[Problem]:
    """Check a manifest; an empty list means that no problem was found.

    Raises:
        DataError: the folder is not a manifest, or has another format version.
    """
    info = read_info(folder)
    return list(_problems(folder, info))


def _problems(folder: Path, info: ManifestInfo) -> Iterator[Problem]:
    if not info.complete:
        yield Problem(
            "unfinished", "manifest.json", "shards are missing; rerun the same dfbench prepare command to resume"
        )
    listed = {s.file for s in info.shards}
    for path in sorted(folder.glob("shard-*.parquet")):
        if path.name not in listed and info.complete:
            yield Problem("file", path.name, "is not in manifest.json")
    readable: list[pa.Table] = []
    for shard in info.shards:
        path = folder / shard.file
        if not path.is_file():
            yield Problem("file", shard.file, "is missing")
            continue
        if file_sha256(path) != shard.sha256:
            yield Problem("hash", shard.file, "its SHA-256 differs from the one in manifest.json")
        try:
            found = list(_shard_problems(path, shard.rows, info))
            yield from found
            if not any(problem.kind == "schema" for problem in found):
                readable.append(pq.ParquetFile(path).read(columns=[c.name for c in MANIFEST.columns]))
        except (OSError, pa.ArrowException, KeyError) as error:
            yield Problem("file", shard.file, f"cannot be read: {error}")
    if readable:
        yield from _table_problems(pa.concat_tables(readable), info)
    if info.complete and content_hash(info.shards) != info.hash:
        yield Problem("hash", "manifest.json", "its content hash differs from that of its shards")


def _shard_problems(path: Path, rows: int, info: ManifestInfo) -> Iterator[Problem]:
    file = pq.ParquetFile(path)
    if file.metadata.num_rows != rows:
        yield Problem("rows", path.name, f"has {file.metadata.num_rows} rows, expected {rows} by manifest.json")
    expected = MANIFEST.schema((*crop_columns(info.sizes), *extra_columns(info.extras, info.sizes)))
    if not file.schema_arrow.equals(expected, check_metadata=False):
        yield Problem("schema", path.name, "its columns differ from those of the manifest")
        return
    stamp = read_stamp(path)
    if stamp is None or stamp.recipe_hash != info.recipe_hash:
        yield Problem("recipe", path.name, "was made with another recipe than the one in manifest.json")
    for group in range(file.metadata.num_row_groups):
        yield from _crop_problems(file, group, info)


def _crop_problems(file: pq.ParquetFile, group: int, info: ManifestInfo) -> Iterator[Problem]:
    for size in info.sizes:
        table = file.read_row_group(group, columns=["sample_id", "status", f"crop_{size}", f"sha256_{size}"])
        for row in table.to_pylist():
            message = _crop_problem(row["status"], row[f"crop_{size}"], row[f"sha256_{size}"], size)
            if message:
                yield Problem("crop", row["sample_id"], f"crop_{size} {message}")
    for size in info.sizes if "masks" in info.extras else ():
        table = file.read_row_group(group, columns=["sample_id", "status", f"mask_{size}", f"sha256_mask_{size}"])
        for row in table.to_pylist():
            mask, sha256 = row[f"mask_{size}"], row[f"sha256_mask_{size}"]
            message = _crop_problem(row["status"], mask, sha256, size) if mask or sha256 else ""
            if message:
                yield Problem("mask", row["sample_id"], f"mask_{size} {message}")
    if "patch" in info.extras:
        table = file.read_row_group(group, columns=["sample_id", "patch", "patch_box", "sha256_patch"])
        for row in table.to_pylist():
            if row["patch"] is not None:
                message = _patch_problem(row["patch"], row["patch_box"], row["sha256_patch"])
                if message:
                    yield Problem("patch", row["sample_id"], f"patch {message}")


def _patch_problem(patch: dict[str, bytes], box: list[int] | None, sha256: str | None) -> str:
    if box is None or sha256 is None:
        return "has no box in the source, or no hash"
    try:
        image = decode_image(patch["bytes"])
    except DfbenchError as error:
        return f"does not decode: {error.message}"
    if image.shape != (box[3] - box[1], box[2] - box[0], 3):
        return f"has shape {image.shape}"
    return "" if pixel_hash(image) == sha256 else "has pixels that do not match its hash"


def _crop_problem(status: str, crop: dict[str, bytes] | None, sha256: str | None, size: int) -> str:
    if status != "ok":
        return "exists although the status is not ok" if crop is not None or sha256 is not None else ""
    if crop is None or crop["bytes"] is None or sha256 is None:
        return "is missing although the status is ok"
    try:
        image = decode_image(crop["bytes"])
    except DfbenchError as error:
        return f"does not decode: {error.message}"
    if image.shape != (size, size, 3):
        return f"has shape {image.shape}"
    return "" if pixel_hash(image) == sha256 else "has pixels that do not match its hash"


def _table_problems(table: pa.Table, info: ManifestInfo) -> Iterator[Problem]:
    try:
        MANIFEST.check(table)
    except DataError as error:
        yield Problem("id", "all shards", error.message)
    strange = set(table["status"].to_pylist()) - set(STATUSES)
    if strange:
        yield Problem("status", "all shards", f"unknown statuses: {', '.join(sorted(strange))}")
    if info.complete and count_rows(table) != info.counts:
        yield Problem("counts", "manifest.json", "its counts differ from those of the rows")
