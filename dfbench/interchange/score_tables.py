"""Read the columns of a file of scores: CSV, JSON, Parquet, Feather or NumPy, recognised by its content.

Every other file is refused with what it is and how to convert it. No code in a file is executed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dfbench.datasets.text_files import decode, text_rows
from dfbench.errors import DataError
from dfbench.text import one_line
from dfbench.untrusted import open_regular, read_at_most, repeated_key

TEXTS = ("sample_id", "media_id", "dataset", "subset", "manipulation", "condition", "scene_group", "status")
COLUMNS = (*TEXTS, "frame_index", "label", "score")
"""Columns that are used; others are ignored."""

Columns = dict[str, "pd.Series[Any]"]
"""Name in lower case, with underscores -> values as stored."""

REQUIRED = (
    "required columns: score, and either sample_id, or media_id and frame_index of a manifest, or media_id and label; "
    "see docs/import-scores.md"
)
LARGEST = 2**30
"""Bytes of a text or archive, unpacked."""

_SAVE = "write the table as CSV or Parquet where it comes from: pandas.DataFrame.to_csv or to_parquet"
_SPREADSHEET = "open it in the spreadsheet program and save the sheet as 'CSV UTF-8'"
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an Excel file of the old kind", _SPREADSHEET),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _SAVE),
    (b"\x80", "a pickle, which could run any code when it is opened", _SAVE),
    (b"SQLite format 3", "an SQLite database", _SAVE),
    (b"MATLAB", "a MATLAB file", "write the table as CSV: writetable(t, 'scores.csv')"),
    (b"%PDF", "a PDF document", _SAVE),
    (b"<", "an HTML or XML page", "was a login page saved in place of the file? Download the file itself"),
)
_UNPACKERS: Mapping[bytes, Callable[[bytes], Any]] = MappingProxyType(
    {
        b"\x1f\x8b": lambda data: gzip.GzipFile(fileobj=io.BytesIO(data)),
        b"BZh": lambda data: bz2.BZ2File(io.BytesIO(data)),
        b"\xfd7zXZ\x00": lambda data: lzma.LZMAFile(io.BytesIO(data)),  # noqa: SIM115 - closed by its user
        b"\x28\xb5\x2f\xfd": lambda data: pa.CompressedInputStream(pa.BufferReader(data), "zstd"),
    }
)
_INSIDE_ZIP = (
    ("xl/", "an Excel file", _SPREADSHEET),
    ("content.xml", "a file of LibreOffice", _SPREADSHEET),
    ("data.pkl", "a file of torch.save", _SAVE),
)


def read_columns(file: Path) -> Columns:
    """Read the columns of a file of scores.

    Args:
        file: CSV (also with semicolons or tabs, UTF-16, or compressed), JSON (records, columns, or one object a line),
            Parquet, Feather, ``.npy`` with named fields or ``.npz`` with an array per column.

    Returns:
        All columns, of equal length. Values of CSV are text.

    Raises:
        DataError: the file is missing, damaged or of another kind; the hint says how to convert it.
    """
    if not file.is_file():
        raise DataError(f"file not found: {file}", "give a CSV, JSON or Parquet file of scores")
    with open_regular(file) as stream:
        start = stream.read(16)
    if file.suffix == ".parquet" and not start.startswith(b"PAR1"):
        raise DataError(f"{file} is not a Parquet file in spite of its name", "rename text files to .csv or .tsv")
    try:
        columns = _read(file, start)
    except DataError:
        raise
    except Exception as error:  # parsers of libraries raise whatever their damaged input leads to
        raise DataError(f"{file} is not a readable file of scores: {error}", REQUIRED) from error
    named: Columns = {}
    for name, values in columns:
        plain = str(name).strip().casefold().replace(" ", "_").replace("-", "_")
        if plain in named and plain in COLUMNS:
            raise DataError(f"{file} has several columns {plain!r}", "keep one of them")
        named[plain] = values.reset_index(drop=True)
    return named


_Pairs = Iterable[tuple[str, "pd.Series[Any]"]]


def _read(file: Path, start: bytes) -> _Pairs:
    if start.startswith(b"PAR1"):
        return _of_arrow(pq.read_table(file))
    if start.startswith((b"ARROW1", b"FEA1")):
        return _of_arrow(feather.read_table(file))
    if start.startswith(b"\x93NUMPY"):
        return _of_numpy(file)
    if start.startswith(b"PK"):
        return _of_zip(file)
    with open_regular(file) as stream:
        data = read_at_most(stream, LARGEST)
    for magic, unpack in _UNPACKERS.items():
        if data.startswith(magic):
            with unpack(data) as unpacked:
                data = read_at_most(unpacked, LARGEST)
            break
    if len(data) > LARGEST:
        raise DataError(f"{file} has more than {LARGEST} bytes of text", "write the scores as Parquet")
    for magic, what, hint in _REFUSED:
        if data.lstrip().startswith(magic):
            raise DataError(f"{file} is {what}, not a table of scores", hint)
    text = decode(data, file)
    if "\0" in text:
        raise DataError(f"{file} is a binary file of an unknown kind", _SAVE)
    return _of_json(text, file) if text.lstrip()[:1] in ("[", "{") else _of_csv(text, file)


def _of_csv(text: str, file: Path) -> _Pairs:
    rows = text_rows(text, ("score",), file, COLUMNS)
    values: dict[str, list[str]] = {}
    try:
        for _, row in rows:
            for name, value in row.items():
                values.setdefault(name, []).append(value)
    except DataError as error:
        if "no column 'score'" not in error.message:
            raise
        first = text.lstrip("\ufeff").partition("\n")[0]
        headless = any(_is_number(cell) for cell in first.replace(";", ",").replace("\t", ",").split(","))
        hint = "add a header line, for example media_id,label,score" if headless else REQUIRED
        raise DataError(f"{error.message}{' (is the header line missing?)' if headless else ''}", hint) from error
    if not values:
        raise DataError(f"{file} has no rows", REQUIRED)
    return [(name, pd.Series(found, dtype=object)) for name, found in values.items()]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_json(text: str, file: Path) -> _Pairs:
    """Columns of records, of an object of columns, of a mapping id -> score, or of one record a line."""
    try:
        value = json.loads(text, object_pairs_hook=partial(_unique, file))
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or error.msg != "Extra data":
            raise DataError(f"{file}, line {error.lineno}: not JSON: {error.msg}", "copy the file again") from error
        value = [_of_line(line, number, file) for number, line in enumerate(lines, 1)]
    if isinstance(value, dict) and isinstance(value.get("data"), list) and isinstance(value.get("columns"), list):
        frame = pd.DataFrame(value["data"], columns=value["columns"], dtype=object)  # pandas: orient="split"
        return [(str(name), frame[name]) for name in frame]
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]  # pandas: orient="table"
    if isinstance(value, dict) and value and all(isinstance(v, int | float) for v in value.values()):
        name = "sample_id" if all("#" in key for key in value) else "media_id"
        value = {name: list(value), "score": list(value.values())}
    if isinstance(value, dict) and value and all(isinstance(v, list | dict) for v in value.values()):
        listed = {name: list(v.values()) if isinstance(v, dict) else v for name, v in value.items()}
        lengths = {name: len(v) for name, v in listed.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{file}: its columns have different lengths: {lengths}", _SAVE)
        return [(name, pd.Series(v, dtype=object)) for name, v in listed.items()]
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError(
            f"{file} is JSON, but not a table", 'write a list of records: [{"media_id": "a", "label": 0, "score": 0.1}]'
        )
    if not value:
        raise DataError(f"{file} has no rows", REQUIRED)
    names = dict.fromkeys(name for row in value for name in row)
    return [(name, pd.Series([row.get(name) for row in value], dtype=object)) for name in names]


def _of_line(line: str, number: int, file: Path) -> Any:
    try:
        return json.loads(line, object_pairs_hook=partial(_unique, file))
    except json.JSONDecodeError as error:
        raise DataError(f"{file}, line {number}: not JSON: {error.msg}", "copy the file again") from error


def _unique(file: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of a JSON text, unless a key occurs twice."""
    twice = repeated_key(pairs)
    if twice is not None:
        raise DataError(f"{file}: the key {one_line(twice)!r} occurs twice in an object", "keep one of its values")
    return dict(pairs)


def _of_arrow(table: pa.Table) -> _Pairs:
    table.validate(full=True)  # texts of a damaged file need not be UTF-8
    return [(name, _series(column)) for name, column in zip(table.column_names, table.columns, strict=True)]


def _series(column: pa.ChunkedArray) -> pd.Series[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = column.cast(pa.large_string())
    # Whole numbers with gaps would become decimal ones: "12.0" is another id than "12".
    values: pd.Series[Any] = column.to_pandas(integer_object_nulls=True)
    return values


def _of_numpy(file: Path) -> _Pairs:
    # Mapped, not read: a header can claim any size.
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype.names is None:
        raise DataError(
            f"{file} is an array of shape {array.shape} without names: its scores belong to no media",
            "write a table with the ids: pandas.DataFrame({'media_id': ids, 'label': labels, 'score': scores}).to_csv",
        )
    return [(name, _listed(np.asarray(array[name]))) for name in array.dtype.names]


def _of_zip(file: Path) -> _Pairs:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{file} is a truncated or damaged zip file: {error}", "copy it again") from error
    names = [member.filename for member in members]
    for mark, what, hint in _INSIDE_ZIP:
        if any(name.startswith(mark) or name.endswith(f"/{mark}") for name in names):
            raise DataError(f"{file} is {what}, not a table of scores", hint)
    if not names or not all(name.endswith(".npy") for name in names):
        raise DataError(f"{file} is a zip file", "unpack it, and pass the file of scores in it")
    if sum(member.file_size for member in members) > LARGEST:
        raise DataError(f"{file} unpacks to more than {LARGEST} bytes", "write the scores as Parquet")
    with np.load(file, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    shapes = {name: array.shape for name, array in columns.items()}
    if len({shape[:1] for shape in shapes.values()}) > 1 or () in shapes.values():
        raise DataError(f"{file}: its arrays have different lengths: {shapes}", _SAVE)
    return [(name, _listed(array)) for name, array in columns.items()]


def _listed(array: NDArray[Any]) -> pd.Series[Any]:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    return pd.Series(array.tolist(), dtype=object)
