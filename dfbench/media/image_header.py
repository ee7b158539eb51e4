"""Width and height of a still image from its header, before its pixels are decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

Size = tuple[int, int]

# Markers of JPEG that begin a frame header; 0xC4, 0xC8 and 0xCC are other segments.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


def image_size(kind: str, data: bytes) -> Size | None:
    """Return width and height that an image file states; None where its header is damaged.

    The size is that of the stored pixels, before EXIF rotation. Of several images in a TIFF file it is the first.

    Args:
        kind: the format, from :func:`dfbench.media.images.image_format`.
        data: the whole file.

    >>> image_size("bmp", b"BM" + bytes(12) + bytes([40, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0]))
    (7, 5)
    """
    try:
        size = _READERS[kind](data)
    except (struct.error, IndexError):
        return None
    return size if size is not None and min(size) > 0 else None


def _png(data: bytes) -> Size | None:
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if data[12:16] == b"IHDR" and _is_complete_png(data) else None


def _is_complete_png(data: bytes) -> bool:
    """Whether every chunk lies within the file: decoders make room for what a chunk claims before they read it."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IEND":
            return bool(at + 12 + length <= len(data))
        at += 12 + length
    return False


def _jpeg(data: bytes) -> Size | None:
    at = 2
    while True:
        # As libjpeg: bytes before a marker are skipped, and so are fill bytes.
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker in (0xD9, 0xDA):  # the end, or pixels without a frame header
            return None
        if marker and marker not in _JPEG_ALONE:
            at += struct.unpack_from(">H", data, at)[0]


def _webp(data: bytes) -> Size | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _bmp(data: bytes) -> Size | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)  # a negative height: rows from the top


def _tiff(data: bytes) -> Size | None:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    found = {}
    for n in range(entries):
        tag, kind = struct.unpack_from(f"{order}HH", data, at + 2 + 12 * n)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            (found[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, at + 10 + 12 * n)
    return (found[_TIFF_WIDTH], found[_TIFF_HEIGHT]) if len(found) == 2 else None


def _jpeg2000(data: bytes) -> Size | None:
    at = data.find(b"\xff\x4f\xff\x51")  # what the decoder reads, whatever the boxes around it say
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    return right - left, bottom - top


def _pnm(data: bytes) -> Size | None:
    words = re.sub(rb"#[^\r\n]*", b"", data[2:1024]).split(maxsplit=2)
    if len(words) < 2 or not all(word.isdigit() and len(word) < 10 for word in words[:2]):
        return None
    return int(words[0]), int(words[1])


_READERS: Mapping[str, Callable[[bytes], Size | None]] = MappingProxyType(
    {"png": _png, "jpeg": _jpeg, "webp": _webp, "bmp": _bmp, "tiff": _tiff, "jpeg2000": _jpeg2000, "pnm": _pnm}
)
