"""Read label files of data sets: JSON, CSV and plain lists, with errors that name file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL
from dfbench.untrusted import open_regular

_WORDS = {"real": REAL, "fake": FAKE}
_NUMBERS = {"0": REAL, "1": FAKE, "0.0": REAL, "1.0": FAKE}


def read_text(path: Path) -> str:
    """Return the text of a label file, UTF-8 with or without a byte order mark.

    Raises:
        DataError: the file cannot be read or is not text.
    """
    try:
        with open_regular(path) as stream:
            return stream.read().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its permissions") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text: {error.reason} at byte {error.start}", "copy it again") from error


def json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        DataError: not JSON, not an object, or a key occurs twice with different values.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in pairs:
            if key in out and out[key] != value:
                raise DataError(f"{path}: {key!r} occurs twice with different values")
            out[key] = value
        return out

    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=unique)
        if "\\ud" in text.casefold():  # half of a surrogate pair is no text
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not JSON: {error.msg}", "the file may be truncated; copy it again"
        ) from error
    except ValueError as error:  # a number of thousands of digits, or a name that is not text
        raise DataError(f"{path}: not JSON of labels: {error}", "copy it again") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply to be a label file", "copy it again") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} contains a JSON {type(value).__name__}, not an object")
    return value


def location_in(path: Path, key: str) -> str:
    """Return ``FILE, line N`` of a key of a JSON file for messages; only the file if the key is escaped differently."""
    text = read_text(path)
    at = text.find(json.dumps(key))
    return str(path) if at < 0 else f"{path}, line {text.count(chr(10), 0, at) + 1}"


def csv_rows(path: Path, required: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with a header as (line number, column -> value); column names in lower case.

    Raises:
        DataError: a required column is missing, or a row is too short or too long.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        absent = sorted(set(required) - set(header))
        if absent:
            raise DataError(
                f"{path}, line 1: no column {', '.join(map(repr, absent))}; it has: {', '.join(header) or 'nothing'}",
                f"the header needs at least: {','.join(sorted(required))}",
            )
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                raise DataError(f"{path}, line {reader.line_num}: {len(values)} values, the header has {len(header)}")
            yield reader.line_num, dict(zip(header, (value.strip() for value in values), strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV: {error}", "copy the file again") from error


def read_label(value: object, where: str) -> int:
    """Return the label of a word (``real``, ``fake``, any case) or of a number with 1 = fake.

    Raises:
        DataError: anything else.

    >>> read_label("REAL", "x"), read_label(1, "x"), read_label("0", "x")
    (0, 1, 0)
    """
    text = str(int(value) if isinstance(value, bool) else value).strip().casefold()
    label = _WORDS.get(text, _NUMBERS.get(text))
    if label is None:
        raise DataError(f"{where}: not a label: {value!r}", "labels are real or fake, or 0 (real) and 1 (fake)")
    return label


def posix(text: str) -> str:
    r"""Return a path of a list with forward slashes, without ``./`` and doubled slashes.

    >>> posix(r".\method_A\\12\a.mp4")
    'method_A/12/a.mp4'
    """
    text = text.replace("\\", "/")
    rooted = "/" if text.startswith("/") else ""
    return rooted + "/".join(part for part in text.split("/") if part not in ("", "."))
