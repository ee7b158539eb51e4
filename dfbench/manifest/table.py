"""The rows of a manifest as tables, read from its shards without holding its crops in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfbench.errors import DataError, UsageError, unknown_name
from dfbench.manifest.shards import open_shard, read_shard
from dfbench.schema.manifest import MANIFEST, MANIFEST_VERSION, ManifestInfo
from dfbench.text import path_text

if TYPE_CHECKING:
    import pandas as pd

_IMAGE_COLUMNS = ("crop_", "mask_", "patch")
_REQUIRED = frozenset(column.name for column in MANIFEST.columns)


@dataclass(frozen=True, repr=False)
class ManifestTable:
    """The rows of a finished manifest. ``len()`` gives their number.

    Attributes:
        path: its folder.
        info: the content of ``manifest.json``.
    """

    path: Path
    info: ManifestInfo

    def __len__(self) -> int:
        """Return the number of rows: requested face samples, whatever their status."""
        return sum(shard.rows for shard in self.info.shards)

    def __bool__(self) -> bool:
        """Return True: a manifest without rows is a manifest."""
        return True

    @property
    def name(self) -> str:
        """Name of the folder."""
        return path_text(self.path.resolve().name)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, including those of the crops; optional ones that format 2 lacks are read as null."""
        if not self.info.shards:
            return ()
        held = tuple(open_shard(self.path / self.info.shards[0].file).schema_arrow.names)
        if self.info.format_version == MANIFEST_VERSION:
            return held
        return held + tuple(column.name for column in MANIFEST.columns if column.optional and column.name not in held)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows as an Arrow table, in the order of the shards.

        Args:
            columns: names of columns; default: all except crops, masks and patches.

        Raises:
            UsageError: a column does not exist.
            DataError: a shard cannot be read, or lacks a column that every manifest has.
        """
        parts = [self.shard_table(number, columns) for number in range(len(self.info.shards))]
        if not parts:
            raise DataError(f"the manifest {self.path} has no shards", "it is not finished; run dfbench prepare again")
        return pa.concat_tables(parts)

    def shard_table(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one shard; see :meth:`table`."""
        plain = [c for c in self.columns if not c.startswith(_IMAGE_COLUMNS) or c == "patch_box"]
        wanted = plain if columns is None else list(columns)
        shard = self.info.shards[number]
        for name in wanted:
            if name not in self.columns and name in _REQUIRED:
                raise DataError(
                    f"{self.path / self.info.shards[0].file} lacks the column {name!r}",
                    f"see: dfbench verify {self.path}",
                )
            if name not in self.columns:
                raise unknown_name("column", name, self.columns)
        table = read_shard(self.path / shard.file, wanted)
        if len(table) != shard.rows:
            raise DataError(
                f"{self.path / shard.file} has {len(table)} rows, expected {shard.rows} by manifest.json",
                f"see: dfbench verify {self.path}",
            )
        return table

    def take(self, rows: npt.NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Return some rows; the table as a whole is never held in memory.

        Args:
            rows: int64 (n,), rising indices of rows, counted over all shards.
            columns: names of columns; default: all except crops, masks and patches.
        """
        pieces = [self.shard_table(0, columns).slice(0, 0)]
        starts = np.cumsum([0, *(shard.rows for shard in self.info.shards)])
        bounds = np.searchsorted(rows, starts)
        for number, shard in enumerate(self.info.shards):
            in_shard = rows[bounds[number] : bounds[number + 1]] - starts[number]
            if len(in_shard):
                table = self.shard_table(number, columns)
                pieces.append(table if len(in_shard) == shard.rows else table.take(in_shard))
        chunked = pa.concat_tables(pieces)
        pieces.clear()
        names, joined = chunked.column_names, []
        for _ in names:  # one column after the other: both forms of all of them would take twice as much
            joined.append(chunked.column(0).combine_chunks())
            chunked = chunked.remove_column(0)
        return pa.table(joined, names=names)

    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows as a data frame; all columns except the crops by default. See :meth:`table`."""
        frame: pd.DataFrame = self.table(columns).to_pandas()
        return frame

    def check_size(self, size: int) -> None:
        """Raise :class:`UsageError` unless the manifest has crops of this size."""
        if size not in self.info.sizes:
            have = ", ".join(map(str, self.info.sizes)) or "none"
            raise UsageError(
                f"the manifest {self.path} has no crops of size {size}; it has {have}",
                f"prepare again with --size {size} and another --out",
            )
