"""Read crops from shards, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError
from dfbench.manifest.samples import Samples
from dfbench.manifest.shards import open_shard, read_group
from dfbench.manifest.table import ManifestTable
from dfbench.media.images import decode_image


@dataclass(frozen=True)
class _RowGroup:
    """One row group: its file, its number in the file, and the manifest's row that it starts with."""

    file: Path
    number: int
    start: int


def iterate_crops(
    manifest: ManifestTable, which: Samples | Iterable[str], size: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """See :meth:`dfbench.manifest.manifest.Manifest.crops`."""
    for data in iterate_encoded(manifest, rows_of(manifest, which), size):
        yield decode_image(data)


def rows_of(manifest: ManifestTable, which: Samples | Iterable[str]) -> npt.NDArray[np.int64]:
    """Return the indices in the manifest of samples or sample ids, each of which must have a crop.

    Raises:
        DataError: an id is unknown, or its status is not ok.
    """
    if isinstance(which, Samples):
        _require_ok(which.table)
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


def iterate_encoded(manifest: ManifestTable, rows: npt.NDArray[np.int64], size: int) -> Iterator[bytes]:
    """Iterate over the image files of crops in the order of ``rows``; consecutive rows of a row group read it once."""
    groups = _row_groups(manifest)
    starts = np.array([g.start for g in groups], np.int64)
    numbers = np.searchsorted(starts, rows, side="right") - 1
    for number, members in groupby(zip(numbers.tolist(), rows.tolist(), strict=True), key=lambda pair: pair[0]):
        group = groups[number]
        column = read_group(group.file, group.number, f"crop_{size}").field("bytes")
        for _, row in members:
            data: bytes = column[row - group.start].as_py()
            yield data


def _row_groups(manifest: ManifestTable) -> list[_RowGroup]:
    groups: list[_RowGroup] = []
    start = 0
    for shard in manifest.info.shards:
        file = manifest.path / shard.file
        metadata = open_shard(file).metadata
        for number in range(metadata.num_row_groups):
            groups.append(_RowGroup(file, number, start))
            start += metadata.row_group(number).num_rows
    return groups
