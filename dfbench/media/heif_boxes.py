"""The boxes of a HEIF file (HEIC, AVIF): which items make the image, and how they are shown.

FFmpeg lists the coded items of such a file as streams, and tells nothing of a grid that they are the tiles of. What is
read here is described in ISO/IEC 23008-12 (HEIF) and ISO/IEC 14496-12 (boxes).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dfbench.errors import DataError
from dfbench.media.orientation import EXIF_ORIENTATIONS, Orientation
from dfbench.untrusted import open_regular

BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"avif", b"1pic", b"MiHB", b"MiHE"})
"""Brands of files whose boxes describe an image. Of HEIF's sequences, which have a track as clips do, see ``moov``."""

CODED = frozenset({"hvc1", "av01", "avc1"})
"""Types of items that FFmpeg decodes."""

_LARGEST_META = 2**22
_MOST_BOXES = 100_000
_DAMAGED = "copy or download it again"
# Rotations by 0, 90, 180 and 270 degrees counter-clockwise, as EXIF counts them.
_TURNS = (EXIF_ORIENTATIONS[0], EXIF_ORIENTATIONS[7], EXIF_ORIENTATIONS[2], EXIF_ORIENTATIONS[5])
_MIRRORS = (EXIF_ORIENTATIONS[3], EXIF_ORIENTATIONS[1])

Boxes = Iterator[tuple[bytes, bytes]]


@dataclass(frozen=True)
class TileGrid:
    """Tiles that make one image.

    Attributes:
        tiles: ids of the items, row by row.
        columns: number of tiles in a row.
        width: of the image in pixels; what tiles hold beyond it is cut off.
        height: of the image in pixels.
    """

    tiles: tuple[int, ...]
    columns: int
    width: int
    height: int


@dataclass(frozen=True)
class HeifImage:
    """The primary image of a file.

    Attributes:
        item: id of the primary item.
        grid: its tiles; None if the item itself is coded.
        crop: numerators and denominators of width, height and offset of the centre in x and y that a clean aperture
            keeps; None without one.
        orientations: how the pixels are shown, to be applied in this order.
    """

    item: int
    grid: TileGrid | None
    crop: tuple[int, ...] | None
    orientations: tuple[Orientation, ...]


def is_heif(path: Path) -> bool:
    """Whether a file is a HEIF image: its brands say so, and it has no track of frames, which is read as a clip.

    False if it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return _has_image(file)
    except (OSError, DataError):
        return False


def _has_image(file: IO[bytes]) -> bool:
    file.seek(0)
    size, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
    if kind != b"ftyp" or not 16 <= size <= 4096:
        return False
    brands = file.read(size - 8)
    if not BRANDS & {brands[at : at + 4] for at in (0, *range(8, len(brands), 4))}:
        return False
    found = {kind for kind, _, _ in _top_level(file)}
    return b"meta" in found and b"moov" not in found


def read_heif_image(file: IO[bytes]) -> HeifImage:
    """Return the primary image of a HEIF file.

    Raises:
        DataError: its boxes are damaged, or it is made in a way that is not supported, which the message names.
    """
    try:
        return _read_heif_image(file)
    except (struct.error, IndexError, KeyError, StopIteration, UnicodeDecodeError) as error:
        raise DataError("the boxes of the HEIF image are damaged", _DAMAGED) from error


def _read_heif_image(file: IO[bytes]) -> HeifImage:
    at, size = next((at, size) for kind, at, size in _top_level(file) if kind == b"meta")
    if size > _LARGEST_META:
        raise DataError(f"the HEIF image has {size} bytes of boxes, more than {_LARGEST_META}", _DAMAGED)
    file.seek(at)
    meta = dict(reversed([*_boxes(file.read(size)[4:])]))
    primary = _number(meta[b"pitm"], 4, 2 if meta[b"pitm"][0] == 0 else 4)
    kinds = dict(_items(meta[b"iinf"]))
    kind = kinds[primary]
    crop, orientations = _properties(meta.get(b"iprp", b""), primary)
    if kind in CODED:
        return HeifImage(primary, None, crop, orientations)
    if kind != "grid":
        raise DataError(
            f"the HEIF image is of the type {kind!r}; coded images (hvc1, av01) and grids of them are read",
            "convert it to JPEG or PNG",
        )
    tiles = _references(meta[b"iref"], primary)
    columns, rows, width, height = _grid_shape(_item_data(file, meta, primary))
    if len(tiles) != columns * rows or any(kinds[tile] not in CODED for tile in tiles):
        raise DataError(f"the HEIF image is a grid of {columns}x{rows}, but has {len(tiles)} tiles", _DAMAGED)
    return HeifImage(primary, TileGrid(tiles, columns, width, height), crop, orientations)


def _top_level(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and size of the content of every box of a file."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind, start = _box_head(head, end - at)
        if size < start:
            return
        yield kind, at + start, min(size, end - at) - start
        at += size


def _box_head(head: bytes, left: int) -> tuple[int, bytes, int]:
    size, kind = struct.unpack_from(">I4s", head)
    if size == 1:
        return struct.unpack_from(">Q", head, 8)[0], kind, 16
    return size or left, kind, 8


def _boxes(data: bytes) -> Boxes:
    """Yield kind and content of every box in the content of another."""
    at = 0
    while at + 8 <= len(data):
        size, kind, start = _box_head(data[at : at + 16], len(data) - at)
        if size < start:
            return
        yield kind, data[at + start : at + size]
        at += size


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size], "big")


def _items(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield id and type of every item."""
    for _, body in _boxes(data[6 if data[0] == 0 else 8 :]):
        wide = 2 if body[0] < 3 else 4
        yield _number(body, 4, wide), body[6 + wide : 10 + wide].decode("ascii")


def _references(data: bytes, item: int) -> tuple[int, ...]:
    """Return the items that an item is derived from."""
    wide = 2 if data[0] == 0 else 4
    for kind, body in _boxes(data[4:]):
        if kind == b"dimg" and _number(body, 0, wide) == item:
            count = _number(body, wide, 2)
            return tuple(_number(body, 2 + wide * (n + 1), wide) for n in range(count))
    return ()


def _properties(data: bytes, item: int) -> tuple[tuple[int, ...] | None, tuple[Orientation, ...]]:
    """Return the clean aperture and the orientations of an item, in their order."""
    boxes = dict(_boxes(data))
    properties = list(_boxes(boxes.get(b"ipco", b"")))
    crop = None
    orientations: list[Orientation] = []
    for number in _associations(boxes.get(b"ipma", b""), item):
        kind, body = properties[number - 1] if number else (b"", b"")
        if kind == b"clap":
            crop = struct.unpack_from(">IIIIiIiI", body)
        elif kind == b"irot":
            orientations.append(_TURNS[body[0] & 3])
        elif kind == b"imir":
            orientations.append(_MIRRORS[body[0] & 1])
    return crop, tuple(orientations)


def _associations(data: bytes, item: int) -> list[int]:
    if not data:
        return []
    wide, long = (2 if data[0] == 0 else 4), data[3] & 1
    at = 8
    for _ in range(_number(data, 4, 4)):
        found, count = _number(data, at, wide), _number(data, at + wide, 1)
        at += wide + 1
        if found == item:
            step, most = (2, 0x7FFF) if long else (1, 0x7F)
            return [_number(data, at + step * n, step) & most for n in range(count)]
        at += count * (2 if long else 1)
    return []


def _grid_shape(data: bytes) -> tuple[int, int, int, int]:
    """Return columns, rows, width and height."""
    wide = 4 if data[1] & 1 else 2
    return data[3] + 1, data[2] + 1, _number(data, 4, wide), _number(data, 4 + wide, wide)


def _item_data(file: IO[bytes], meta: Mapping[bytes, bytes], item: int) -> bytes:
    """Return the first bytes of an item that is not coded."""
    data = meta[b"iloc"]
    version, sizes = data[0], _number(data, 4, 2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    at = 6 + wide
    for _ in range(_number(data, 6, wide)):
        found, method = _number(data, at, wide), _number(data, at + wide, 2) & 15 if version else 0
        at += wide + (4 if version else 2)
        base, extents = _number(data, at, base_size), _number(data, at + base_size, 2)
        at += base_size + 2
        if found == item:
            start = base + _number(data, at + index_size, offset_size)
            length = min(_number(data, at + index_size + offset_size, length_size) or 12, 12)
            if method == 1:
                return meta[b"idat"][start : start + length]
            if method == 0:
                file.seek(start)
                return file.read(length)
            break
        at += extents * (index_size + offset_size + length_size)
    raise KeyError(item)
