"""Read text and tables that people save: UTF-8 or UTF-16, with commas, semicolons or tabs between the values."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from dfbench.errors import DataError
from dfbench.untrusted import LARGEST_TEXT, encoding_of, open_regular, read_at_most

_DELIMITERS = ",;\t|"
_LOOKED_AT = 65536  # characters, in which the header ends


def read_text(path: Path) -> str:
    """Return the text of a file, UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        DataError: the file cannot be read or is not such text.
    """
    try:
        with open_regular(path) as stream:
            data = read_at_most(stream, LARGEST_TEXT)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its permissions") from error
    if len(data) > LARGEST_TEXT:
        raise DataError(f"{path} is larger than {LARGEST_TEXT} bytes", "label files are smaller; check the file")
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """Return the text of a file's content, as :func:`read_text` does.

    Raises:
        DataError: it is not such text.
    """
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not text in {encoding.upper().removesuffix('-SIG')}: {error.reason} at byte {error.start}, "
            f"line {line}",
            "if a spreadsheet or an editor saved it in another encoding, save it as UTF-8 ('CSV UTF-8'), or convert "
            "it: iconv -f WINDOWS-1252 -t UTF-8; if it is damaged, copy it again",
        ) from error


def csv_rows(path: Path, required: Collection[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table with a header as (line number, column -> value); column names in lower case.

    Values are separated by commas, or by what the header uses to name the required columns: semicolons, tabs or bars.
    A first line ``sep=;``, which spreadsheets write, is obeyed. Empty values beyond the last column are dropped.

    Raises:
        DataError: a required column is missing or occurs twice, or a row is too short or too long.
    """
    yield from text_rows(read_text(path), required, path)


def text_rows(
    text: str, required: Collection[str], path: Path, once: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of the text of a table, as :func:`csv_rows` does; the path is that of messages.

    Args:
        text: the text.
        required: columns that must be there.
        path: for messages.
        once: further columns that must not occur twice.

    Raises:
        DataError: as :func:`csv_rows`.
    """
    first, _, rest = text.partition("\n")
    declared = first.strip().strip('"').casefold()
    lines, delimiter = 0, ""
    if declared.startswith("sep=") and len(declared) <= len("sep=") + 1:
        text, lines, delimiter = rest, 1, first.strip().strip('"')[len("sep=") :] or "\t"
    try:
        delimiter = delimiter or _delimiter(text[:_LOOKED_AT], required)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except (csv.Error, TypeError) as error:
        raise DataError(f"{path}, line 1: not CSV: {error}", "copy the file again") from error
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        _check_header(header, required, once, f"{path}, line {lines + 1}")
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            while len(values) > len(header) and not values[-1].strip():
                values.pop()
            if len(values) != len(header):
                where = f"{path}, line {lines + reader.line_num}"
                raise DataError(
                    f"{where}: {len(values)} values, the header has {len(header)}",
                    "put values that contain the separator in quotes",
                )
            yield lines + reader.line_num, dict(zip(header, (value.strip() for value in values), strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {lines + reader.line_num}: not CSV: {error}", "copy the file again") from error


def _delimiter(text: str, required: Collection[str]) -> str:
    """Return the character with which the header names most of the required columns, and most columns."""

    def columns(delimiter: str) -> tuple[int, int]:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        names = [name.strip().casefold() for name in header]
        return len(set(required) & set(names)), len(names)

    counts = {delimiter: columns(delimiter) for delimiter in _DELIMITERS}
    if counts[","][0] and counts[","][0] == len(set(required)):
        return ","
    return max(_DELIMITERS, key=lambda delimiter: (counts[delimiter], -_DELIMITERS.index(delimiter)))


def _check_header(header: list[str], required: Collection[str], once: Collection[str], where: str) -> None:
    absent = sorted(set(required) - set(header))
    if absent:
        raise DataError(
            f"{where}: no column {', '.join(map(repr, absent))}; it has: {', '.join(header) or 'nothing'}",
            f"the header needs at least: {','.join(sorted(required))}",
        )
    twice = sorted({name for name in (*required, *once) if header.count(name) > 1})
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} occurs twice", "remove or rename one of them")
