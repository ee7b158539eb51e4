"""Write and read shards: rows in Parquet with fixed settings, and a stamp that says how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from dfbench.errors import DataError
from dfbench.io import atomic_path
from dfbench.manifest.info import check_inside
from dfbench.manifest.row_checks import check_rows
from dfbench.media.limits import is_machine_fault, memory_is_left
from dfbench.schema.manifest import MANIFEST, MANIFEST_VERSION, row_schema
from dfbench.storage.path import StoredPath, parquet_source
from dfbench.text import one_line

ROW_GROUP = 256
STAMP_KEY = b"dfbench"

_OPTIONAL = {column.name: column.type for column in MANIFEST.columns if column.optional}
_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)

UNREADABLE = (OSError, pa.ArrowException, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError)
"""What pyarrow raises for a damaged file. The message of the first two alone says what is wrong."""


class Stamp(BaseModel):
    """How a shard was made, stored in its metadata; a shard with the expected stamp is finished.

    ``groups`` holds a digest of each of its scene groups, by which their rows can be found in another shard.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = MANIFEST_VERSION
    recipe_hash: str
    plan_hash: str
    versions: dict[str, str]
    face_detector_runtime: str = ""
    groups: tuple[str, ...] = ()


def shard_schema(sizes: tuple[int, ...], stamp: Stamp, extras: Sequence[str] = ()) -> pa.Schema:
    """Return the Arrow schema of a shard with the stamp and the features that Hugging Face's ``datasets`` reads."""
    schema = row_schema(sizes, extras)
    info = {"info": {"features": {field.name: _feature(field) for field in schema}}}
    return schema.with_metadata(
        {
            b"huggingface": json.dumps(info, separators=(",", ":")).encode(),
            STAMP_KEY: json.dumps(stamp.model_dump(), sort_keys=True, separators=(",", ":")).encode(),
        }
    )


def _feature(field: pa.Field) -> dict[str, Any]:
    if pa.types.is_struct(field.type):
        return {"_type": "Image"}
    if pa.types.is_list(field.type):
        value = {"dtype": _dtype(field.type.value_type), "_type": "Value"}
        return {"feature": value, "length": -1, "_type": "Sequence"}
    return {"dtype": _dtype(field.type), "_type": "Value"}


def _dtype(kind: pa.DataType) -> str:
    # Arrow names float and double what the features call float32 and float64.
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def write_shard(
    path: Path, rows: Iterable[dict[str, Any]], sizes: tuple[int, ...], stamp: Stamp, extras: Sequence[str] = ()
) -> int:
    """Write rows in their order; the file appears under its name only when it is complete and on disk.

    Row groups hold :data:`ROW_GROUP` rows. Nothing is compressed (the crops are compressed images) and nothing
    depends on time or machine, so equal rows and versions give equal bytes.

    Args:
        path: the file.
        rows: rows as dictionaries of column values.
        sizes: crop sizes in pixels.
        stamp: how the rows were made.
        extras: groups of optional columns.

    Returns:
        The number of rows.

    Raises:
        SetupError: the file cannot be written (full disk, permissions); nothing is left behind.
    """
    written = 0
    schema = shard_schema(sizes, stamp, extras)
    plain = [field.name for field in schema if not pa.types.is_struct(field.type)]
    words = [name for name in plain if pa.types.is_string(schema.field(name).type) and name != "sample_id"]
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as stream,
        pq.ParquetWriter(
            stream, schema, compression="NONE", use_dictionary=words, write_statistics=plain, version="2.6"
        ) as writer,
    ):
        for chunk in _chunks(rows, ROW_GROUP):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema), row_group_size=ROW_GROUP)
            written += len(chunk)
    return written


def _chunks(rows: Iterable[dict[str, Any]], size: int) -> Iterable[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def read_stamp(path: Path) -> Stamp | None:
    """Return the stamp of a shard file; None if the file is missing, damaged, a link to elsewhere or not a shard."""
    try:
        metadata = open_shard(path).schema_arrow.metadata or {}
        return Stamp.model_validate_json(metadata[STAMP_KEY])
    except (DataError, KeyError, ValidationError):
        return None


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard file.

    Raises:
        DataError: it cannot be read as Parquet, or is a link that leads out of its folder.
        MemoryError: memory ran out.
    """
    check_inside(path)
    if not path.is_file():
        raise DataError(f"there is no shard file {path}", f"see: dfbench verify {path.parent}")
    try:
        return pq.ParquetFile(parquet_source(path), pre_buffer=isinstance(path, StoredPath))
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def read_shard(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read some columns of one shard file.

    Raises:
        DataError: it cannot be read as Parquet, or its rows are not valid; see :mod:`dfbench.manifest.row_checks`.
    """
    try:
        file = open_shard(path)
        # The metadata describes columns that are not read.
        table = file.read(columns=_held(file, columns)).replace_schema_metadata(None)
        table = _with_optional(table, columns)
        _check(table, columns, path)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    return table


def shard_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a shard file, at most ``rows`` at a time.

    Raises:
        DataError: as :func:`read_shard`.
    """
    file = open_shard(path)
    batches = file.iter_batches(batch_size=rows, columns=_held(file, columns))
    while True:
        try:
            batch = next(batches, None)
            if batch is None:
                return
            batch = _with_optional(batch, columns)
            _check(batch, columns, path)
        except UNREADABLE as error:
            raise unreadable(path, error) from error
        yield batch


def _held(file: pq.ParquetFile, columns: Sequence[str]) -> list[str]:
    """Return the columns without the optional ones that a shard of an older format lacks."""
    held = set(file.schema_arrow.names)
    return [name for name in columns if name in held or name not in _OPTIONAL]


def _with_optional(table: _Rows, columns: Sequence[str]) -> _Rows:
    """Return rows with nulls in the optional columns that they lack."""
    lacking = [name for name in columns if name in _OPTIONAL and name not in table.schema.names]
    for name in lacking:
        kind = _OPTIONAL[name]
        table = table.append_column(pa.field(name, kind), pa.nulls(table.num_rows, kind))
    return table.select([name for name in columns if name in table.schema.names]) if lacking else table


def _check(table: pa.Table | pa.RecordBatch, columns: Sequence[str], path: Path) -> None:
    table.validate(full=True)  # offsets and UTF-8 of a damaged file, which Arrow trusts otherwise
    if lacking := [name for name in columns if name not in table.schema.names]:
        raise DataError(f"{path} lacks the columns {', '.join(lacking)}", f"see: dfbench verify {path.parent}")
    check_rows(table, path)


def read_group(shard: pq.ParquetFile, number: int, column: str, name: str) -> pa.Array:
    """Read one column of one row group of an open shard; ``name`` is what the message calls it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        values = shard.read_row_group(number, columns=[column]).column(0).combine_chunks()
        values.validate(full=True)
        return values
    except UNREADABLE as error:
        raise DataError(f"{name} cannot be read: {reason(error)}", "see: dfbench verify") from error


def unreadable(path: Path, error: Exception) -> Exception:
    """Return the error for a shard file that pyarrow could not read: ``MemoryError`` if memory ran out."""
    # A damaged file can claim an absurd size.
    if is_machine_fault(error) and not memory_is_left():
        return MemoryError(f"{path}: {reason(error)}")
    return DataError(f"{path} cannot be read: {reason(error)}", f"see: dfbench verify {path.parent}")


def reason(error: Exception) -> str:
    """Return the message of an exception of pyarrow in one line of bounded length; such messages quote the file."""
    return one_line(str(error).partition("\n")[0] or type(error).__name__)[:300]
