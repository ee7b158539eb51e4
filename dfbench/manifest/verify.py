"""Check a manifest: hashes, counts, identifiers, recipe and every crop.

Shards are checked one after the other: memory depends on the largest shard, not on the manifest.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dfbench.errors import DataError, DfbenchError
from dfbench.io import file_sha256
from dfbench.manifest.info import check_inside, content_hash, read_info
from dfbench.manifest.row_checks import alignment_problems, row_problems
from dfbench.manifest.shards import UNREADABLE, open_shard, read_stamp, reason
from dfbench.manifest.summary import counts_of, tally_rows
from dfbench.media.images import decode_sized, pixel_hash
from dfbench.schema.ids import parse_sample_id
from dfbench.schema.manifest import MANIFEST, ManifestInfo, row_columns, row_schema


@dataclass(frozen=True)
class Problem:
    """One inconsistency.

    Attributes:
        kind: short name of the check: unfinished, file, hash, rows, recipe, schema, id, status, value, path, align,
            crop, mask, patch, counts.
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
    return list(find_problems(folder))


def find_problems(folder: Path) -> Iterator[Problem]:
    """Yield the problems of :func:`verify` as they are found.

    Raises:
        DataError: the folder is not a manifest, or has another format version.
    """
    info = read_info(folder)
    if not info.complete:
        yield Problem(
            "unfinished", "manifest.json", "shards are missing; rerun the same dfbench prepare command to resume"
        )
    listed = {s.file for s in info.shards}
    for path in sorted(folder.glob("shard-*.parquet")):
        if path.name not in listed and info.complete:
            yield Problem("file", path.name, "is not in manifest.json")
    seen = _Seen()
    for shard in info.shards:
        path = folder / shard.file
        try:
            check_inside(path)
            if not path.is_file():
                yield Problem("file", shard.file, "is missing")
                continue
            if file_sha256(path) != shard.sha256:
                yield Problem("hash", shard.file, "its SHA-256 differs from the one in manifest.json")
            yield from _shard_problems(path, shard.rows, info, seen)
        except DataError as error:
            yield Problem("file", shard.file, error.message)
        except UNREADABLE as error:
            yield Problem("file", shard.file, f"cannot be read: {reason(error)}")
    yield from seen.problems(info)
    if info.complete and content_hash(info.shards) != info.hash:
        yield Problem("hash", "manifest.json", "its content hash differs from that of its shards")


class _Seen:
    """What is kept of the shards that were read: counts, and eight bytes of each medium."""

    def __init__(self) -> None:
        self.shards = 0
        self._counts: Counter[tuple[str, int, str]] = Counter()
        self._media: list[npt.NDArray[np.uint64]] = []
        self._files: list[str] = []

    def add(self, table: pa.Table, file: str) -> None:
        """Keep the counts and the media of a shard."""
        self.shards += 1
        self._counts.update(tally_rows(table))
        names = pc.unique(table["media_id"]).to_pylist()
        digests = [hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in names]
        self._media.append(np.frombuffer(b"".join(digests), np.uint64))
        self._files.append(file)

    def problems(self, info: ManifestInfo) -> Iterator[Problem]:
        """Yield what only all shards together show."""
        if not self.shards:
            return
        shard_of = np.repeat(np.arange(len(self._media)), [len(media) for media in self._media])
        media = np.concatenate(self._media)
        order = np.argsort(media, kind="stable")
        twice = np.flatnonzero(media[order][1:] == media[order][:-1])
        if len(twice):
            first, second = (self._files[shard_of[order[twice[0] + n]]] for n in (0, 1))
            yield Problem("id", "all shards", f"{len(twice)} media are in two shards, first: {first} and {second}")
        if info.complete and counts_of(self._counts) != info.counts:
            yield Problem("counts", "manifest.json", "its counts differ from those of the rows")


def _shard_problems(path: Path, rows: int, info: ManifestInfo, seen: _Seen) -> Iterator[Problem]:
    file = open_shard(path)
    if file.metadata.num_rows != rows:
        yield Problem("rows", path.name, f"has {file.metadata.num_rows} rows, expected {rows} by manifest.json")
    if not file.schema_arrow.equals(row_schema(info.sizes, info.extras, info.format_version), check_metadata=False):
        yield Problem("schema", path.name, "its columns differ from those of the manifest")
        return
    stamp = read_stamp(path)
    if stamp is None or (stamp.recipe_hash, stamp.format_version) != (info.recipe_hash, info.format_version):
        yield Problem(
            "recipe", path.name, "was made with another recipe, or in another format, than stated in manifest.json"
        )
    table = file.read(columns=[column.name for column in row_columns(info.format_version)])
    table.validate(full=True)
    found = [Problem(kind, path.name, message) for kind, message in row_problems(table)]
    found += _id_problems(table, path.name)
    if info.align == "clip":
        found += [Problem("align", path.name, message) for message in alignment_problems(table)]
    yield from found
    seen.add(table, path.name)
    del table
    for group in range(file.metadata.num_row_groups):
        yield from _crop_problems(file, group, info)


def _id_problems(table: pa.Table, file: str) -> Iterator[Problem]:
    try:
        MANIFEST.check(table)
    except DataError as error:
        yield Problem("id", file, error.message)
    for sample, medium in zip(table["sample_id"].to_pylist(), table["media_id"].to_pylist(), strict=True):
        try:
            good = parse_sample_id(sample)[0] == medium
        except DataError:
            good = False
        if not good:
            yield Problem("id", file, f"the sample id {sample!r} is not one of the medium {medium!r}")
            return


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


def _patch_problem(patch: dict[str, bytes | None], box: list[int] | None, sha256: str | None) -> str:
    data = patch["bytes"]
    if box is None or len(box) != 4 or sha256 is None or data is None:
        return "has no box in the source, no hash or no image"
    try:
        image = decode_sized(data, box[2] - box[0], box[3] - box[1])
    except DfbenchError as error:
        return f"does not decode: {error.message}"
    return "" if pixel_hash(image) == sha256 else "has pixels that do not match its hash"


def _crop_problem(status: str, crop: dict[str, bytes | None] | None, sha256: str | None, size: int) -> str:
    if status != "ok":
        return "exists although the status is not ok" if crop is not None or sha256 is not None else ""
    data = crop["bytes"] if crop is not None else None
    if data is None or sha256 is None:
        return "is missing although the status is ok"
    try:
        image = decode_sized(data, size, size)
    except DfbenchError as error:
        return f"does not decode: {error.message}"
    return "" if pixel_hash(image) == sha256 else "has pixels that do not match its hash"
