"""Where the values of a binary column lie in a Parquet file, so that one can be read without decoding its neighbours.

In an uncompressed column chunk with plain encoding, every value is stored as its length (4 bytes, little endian) and
its bytes. The chunk is a chain of pages, each with a header in Thrift's compact protocol and with definition levels,
which say which rows have a value. Source: the specification of Apache Parquet, ``parquet.thrift`` and ``Encodings.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Read = Callable[[int, int], bytes]
"""Read bytes of a file: (start, length) -> bytes."""
Positions = npt.NDArray[np.int64]

_HEADER_READS = (512, 1 << 16)  # bytes tried; with statistics, which crops of dfbench do not have, headers grow
_DATA_PAGE = 0
_PLAIN, _RLE = 0, 3


class NotInPlaceError(Exception):
    """The values of a chunk do not lie in the file as they are: another page type or encoding, or a damaged file."""


@dataclass(frozen=True)
class ColumnChunk:
    """One column of one row group.

    Attributes:
        start: first byte of the chunk in the file.
        stop: the byte after its last one.
        rows: number of rows.
        max_level: definition level of a row that has a value; 0 if every row has one.
    """

    start: int
    stop: int
    rows: int
    max_level: int


def value_positions(read: Read, chunk: ColumnChunk) -> Positions:
    """Return where each value of a chunk begins and ends in the file.

    Only page headers, levels and lengths are read.

    Returns:
        int64 (rows, 2), first byte and the one after the last; (-1, -1) for rows without a value.

    Raises:
        NotInPlaceError: the chunk is not stored plainly, or its content contradicts itself.
    """
    found = np.full((chunk.rows, 2), -1, np.int64)
    row, place = 0, chunk.start
    while row < chunk.rows:
        if place >= chunk.stop:
            raise NotInPlaceError("the pages hold fewer values than the row group has rows")
        header, size = _page_header(read, place, chunk.stop - place)
        data = header.get(5)
        if header.get(1) != _DATA_PAGE or not isinstance(data, dict) or data.get(2) != _PLAIN or data.get(3) != _RLE:
            raise NotInPlaceError("a page is not a plain data page")
        begin = place + size
        place = begin + int(header[3])
        rows = int(data[1])
        if rows < 1 or row + rows > chunk.rows or not begin <= place <= chunk.stop:
            raise NotInPlaceError("a page reaches beyond its row group")
        present, begin = _present(read, begin, place, rows, chunk.max_level)
        _walk(read, begin, place, found[row : row + rows], present)
        row += rows
    return found


def _walk(read: Read, begin: int, end: int, found: Positions, present: npt.NDArray[np.bool_]) -> None:
    """Enter the positions of the values of one page, which lie from ``begin`` to ``end``."""
    for row in np.flatnonzero(present).tolist():
        start = begin + 4
        begin = start + int.from_bytes(read(begin, 4), "little")
        if begin > end:
            raise NotInPlaceError("a value reaches beyond its page")
        found[row] = start, begin
    if begin != end:
        raise NotInPlaceError("a page is longer than its values")


def _present(read: Read, begin: int, end: int, rows: int, max_level: int) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which rows of a page have a value, and where the values begin."""
    if not max_level:
        return np.ones(rows, bool), begin
    length = int.from_bytes(read(begin, 4), "little")
    if begin + 4 + length > end:
        raise NotInPlaceError("the levels of a page reach beyond it")
    levels = read_levels(read(begin + 4, length), rows, max_level.bit_length())
    return levels == max_level, begin + 4 + length


def read_levels(data: bytes, count: int, width: int) -> npt.NDArray[np.int64]:
    """Decode levels from Parquet's hybrid of run lengths and packed bits.

    Args:
        data: the encoded levels.
        count: number of levels.
        width: bits per level.

    Raises:
        NotInPlaceError: the data end too early.

    >>> read_levels(bytes([6, 1, 3, 0b10001000]), 5, 1).tolist()
    [1, 1, 1, 0, 0]
    """
    parts: list[npt.NDArray[np.int64]] = []
    place, have = 0, 0
    while have < count:
        header, place = _varint(data, place)
        if header & 1:  # groups of eight, packed from the lowest bit
            size = (header >> 1) * width
            packed = np.frombuffer(data, np.uint8, size, place) if place + size <= len(data) else None
            if packed is None:
                raise NotInPlaceError("the levels of a page end too early")
            bits = np.unpackbits(packed, bitorder="little").reshape(-1, width).astype(np.int64)
            part = bits @ (1 << np.arange(width))
        else:
            size = (width + 7) // 8
            part = np.full(
                min(header >> 1, count - have), int.from_bytes(data[place : place + size], "little"), np.int64
            )
        place += size
        parts.append(part)
        have += len(part)
        if not len(part):
            raise NotInPlaceError("a run of levels is empty")
    return np.concatenate(parts)[:count] if parts else np.zeros(0, np.int64)


def _page_header(read: Read, place: int, available: int) -> tuple[dict[int, Any], int]:
    """Parse a page header; returns its fields by number, and its length in bytes."""
    for length in _HEADER_READS:
        try:
            return _struct(read(place, min(length, available)), 0)
        except (IndexError, NotInPlaceError):  # the header is longer than what was read
            continue
        except (ValueError, RecursionError) as error:
            raise NotInPlaceError(f"a page header is not readable: {error}") from error
    raise NotInPlaceError("a page header is not readable")


def _struct(data: bytes, place: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = data[place]
        place += 1
        if not head:
            return fields, place
        if head >> 4:
            number += head >> 4
        else:
            number, place = _zigzag(data, place)
        fields[number], place = _value(data, place, head & 15)


def _value(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):  # a boolean field, whose value is its type
        return kind == 1, place
    if kind == 3:
        return data[place], place + 1
    if kind in (4, 5, 6):
        return _zigzag(data, place)
    if kind == 8:
        length, place = _varint(data, place)
        return data[place : place + length], place + length
    if kind == 12:
        return _struct(data, place)
    raise ValueError(f"a field of type {kind}")  # page headers have no others


def _zigzag(data: bytes, place: int) -> tuple[int, int]:
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise NotInPlaceError("a number ends too early")
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
        shift += 7
