"""The stored crops of a manifest, each read where it lies in its shard; nothing is copied or read in advance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError
from dfbench.manifest.page_positions import ColumnChunk, NotInPlaceError, Positions, value_positions
from dfbench.manifest.samples import Samples
from dfbench.manifest.shard_source import ShardSource, shard_source
from dfbench.manifest.shards import read_group
from dfbench.manifest.table import ManifestTable
from dfbench.media.images import decode_crop
from dfbench.schema.manifest import ShardInfo

MOST_DECODED = 8
"""Largest number of decoded row groups that are held, where crops cannot be read in place."""


@dataclass(frozen=True)
class _ShardLayout:
    """The row groups of one shard: first row of each, and the chunk of the crops, None where it must be decoded."""

    starts: npt.NDArray[np.int64]
    chunks: tuple[ColumnChunk | None, ...]


class StoredCrops:
    """Image files of some rows of a manifest; item i is that of ``rows[i]``.

    A shard's footer is read when the first of its crops is wanted, the positions within a row group likewise. In shards
    that dfbench wrote, crops are read in place. In shards that another program has compressed, whole row groups are
    decoded, and :data:`MOST_DECODED` of them are held.

    Args:
        source: of the shard files.
        shards: the shards of the manifest, in order.
        rows: int64 (n,), rows counted over all shards; each has a crop.
        size: crop size in pixels, or the name of another column of images: ``patch``.
    """

    def __init__(
        self, source: ShardSource, shards: tuple[ShardInfo, ...], rows: npt.NDArray[np.int64], size: int | str
    ) -> None:
        self._source = source
        self._shards = shards
        self._rows = rows
        self._column = size if isinstance(size, str) else f"crop_{size}"
        self._image = size if isinstance(size, str) else "crop"
        ends = np.cumsum([shard.rows for shard in shards], dtype=np.int64)
        self._shard_of = np.searchsorted(ends, rows, side="right").astype(np.int32)
        self._shard_starts = ends - np.array([shard.rows for shard in shards], np.int64)
        self._layouts: dict[int, _ShardLayout] = {}
        self._positions: dict[tuple[int, int], Positions | None] = {}
        self._decoded: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> bytes:
        """Return an image file.

        Raises:
            DataError: the shard cannot be read, or the row has no crop.
        """
        shard = int(self._shard_of[index])
        row = int(self._rows[index] - self._shard_starts[shard])
        layout = self._layout(shard)
        group = int(np.searchsorted(layout.starts, row, side="right")) - 1
        within = row - int(layout.starts[group])
        positions = self._group_positions(shard, group, layout.chunks[group])
        if positions is None:
            data: bytes | None = self._decoded_group(shard, group)[within].as_py()
        else:
            start, stop = positions[within].tolist()
            data = self._source.read(self._shards[shard].file, start, stop - start) if start >= 0 else None
        if data is None:
            raise DataError(
                f"{self._shards[shard].file} has no {self._image} in row {row}, whose status is ok",
                "see: dfbench verify",
            )
        return data

    def _layout(self, shard: int) -> _ShardLayout:
        if shard not in self._layouts:
            metadata = self._source.open(self._shards[shard].file).metadata
            name = f"{self._column}.bytes"
            columns = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
            if metadata.num_rows != self._shards[shard].rows or name not in columns:
                raise DataError(
                    f"{self._shards[shard].file} is not the shard that manifest.json describes", "see: dfbench verify"
                )
            column = columns.index(name)
            level = metadata.schema.column(column).max_definition_level
            groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
            counts = np.array([group.num_rows for group in groups], np.int64)
            chunks = tuple(_chunk(group.column(column), group.num_rows, level) for group in groups)
            self._layouts[shard] = _ShardLayout(np.cumsum(counts) - counts, chunks)
        return self._layouts[shard]

    def _group_positions(self, shard: int, group: int, chunk: ColumnChunk | None) -> Positions | None:
        key = (shard, group)
        if key not in self._positions:
            file = self._shards[shard].file
            try:
                found = value_positions(lambda a, n: self._source.read(file, a, n), chunk) if chunk else None
            except NotInPlaceError:
                found = None
            self._positions[key] = found
        return self._positions[key]

    def _decoded_group(self, shard: int, group: int) -> pa.Array:
        key = (shard, group)
        if key not in self._decoded:
            opened = self._source.open(self._shards[shard].file)
            self._decoded[key] = read_group(opened, group, self._column, self._shards[shard].file).field("bytes")
            if len(self._decoded) > MOST_DECODED:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(key)
        return self._decoded[key]


def _chunk(column: Any, rows: int, level: int) -> ColumnChunk | None:
    """Return a column chunk whose values may lie in place; None where they do not."""
    described = column.to_dict()
    plain = set(described["encodings"]) <= {"PLAIN", "RLE", "BIT_PACKED"}
    if described["compression"] != "UNCOMPRESSED" or not plain or described["dictionary_page_offset"]:
        return None
    start = described["data_page_offset"]
    return ColumnChunk(start, start + described["total_compressed_size"], rows, level)


def stored_crops(manifest: ManifestTable, rows: npt.NDArray[np.int64], size: int) -> StoredCrops:
    """Return the stored crops of some rows of a manifest, each of which has one."""
    return StoredCrops(shard_source(manifest.path), manifest.info.shards, rows, size)


def stored_patches(manifest: ManifestTable, rows: npt.NDArray[np.int64]) -> StoredCrops:
    """Return the stored patches of some rows of a manifest, each of which has one."""
    return StoredCrops(shard_source(manifest.path), manifest.info.shards, rows, "patch")


def iterate_crops(
    manifest: ManifestTable, which: Samples | Iterable[str], size: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """See :meth:`dfbench.manifest.manifest.Manifest.crops`."""
    found = stored_crops(manifest, rows_of(manifest, which), size)
    for index in range(len(found)):
        yield decode_crop(found[index], size)


def rows_of(manifest: ManifestTable, which: Samples | Iterable[str]) -> npt.NDArray[np.int64]:
    """Return the indices in the manifest of samples or sample ids, each of which must have a crop.

    Raises:
        DataError: an id is unknown, or its status is not ok.
    """
    if isinstance(which, Samples):
        _require_ok(which.select(["sample_id", "status"]))
        return which.rows
    ids = list(which)
    table = manifest.table(["sample_id", "status"])
    found = pc.index_in(pa.array(ids, pa.string()), value_set=table["sample_id"].combine_chunks())
    if found.null_count:
        unknown = ids[found.is_null().to_pylist().index(True)]
        raise DataError(f"the manifest {manifest.path} has no sample {unknown!r}")
    rows = np.asarray(found.to_numpy(), np.int64)
    _require_ok(table.take(rows))
    return rows


def _require_ok(table: pa.Table) -> None:
    bad = table.filter(pc.not_equal(table["status"], "ok"))
    if len(bad):
        first = f"{bad['sample_id'][0].as_py()} has status {bad['status'][0].as_py()}"
        raise DataError(f"{len(bad)} samples have no crop; {first}", "select those that have one: samples.ok()")
