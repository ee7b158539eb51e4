"""TIFF files: their pages, and damage that OpenCV does not report."""

from __future__ import annotations

import io
import re
import struct
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.media.image_header import Size
from dfbench.media.limits import is_machine_fault

_MOST_PAGES = 10_000
_SUBFILE, _WIDTH, _HEIGHT = 254, 256, 257
_REDUCED_OR_MASK = 0b101
_DECODER_ERROR = re.compile(r"(decoder error )?-[0-9]+")  # of libtiff, as Pillow reports it


def decode_page(data: bytes, place: int) -> NDArray[np.uint8] | None:
    """Decode one page, as a file of that page alone would be decoded.

    Args:
        data: the whole file.
        place: which of all its pages, from 0.

    Returns:
        uint8 (height, width, 3), RGB, upright; None if it does not decode.

    Raises:
        MemoryError: memory ran out.
    """
    try:
        encoded = np.frombuffer(data, np.uint8)
        done, images = cv2.imdecodemulti(encoded, cv2.IMREAD_COLOR, range=(place, place + 1))
    except cv2.error as error:
        if is_machine_fault(error):
            raise MemoryError(str(error)) from error
        return None
    if not done or len(images) != 1 or is_damaged(data, place):
        return None
    return np.asarray(cv2.cvtColor(images[0], cv2.COLOR_BGR2RGB), np.uint8)


def is_damaged(data: bytes, place: int = 0) -> bool:
    """Whether compressed pixels of a page do not decode: OpenCV returns an image with gaps then.

    Both use libtiff, but Pillow looks at its errors. A page of a type that Pillow does not know counts as intact.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=("TIFF",)) as file:
            warnings.simplefilter("ignore")
            file.seek(place)
            file.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever Pillow raises; only one of its errors tells
        return _DECODER_ERROR.fullmatch(str(error)) is not None
    return False


def list_pages(data: bytes) -> list[tuple[int, Size | None]]:
    """Return place in the file and size of every page that is neither a mask nor a reduced copy.

    Camera files of Canon (CR2), whose parts are no pages, count as one image.
    """
    if data[8:10] == b"CR":
        return []
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    out: list[tuple[int, Size | None]] = []
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _MOST_PAGES and at + 2 <= len(data):
        tags, next_at = _directory(data, at, order)
        width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
        if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            out.append((len(seen), (width, height) if width > 0 and height > 0 else None))
        seen.add(at)
        at = next_at
    return out


def _directory(data: bytes, at: int, order: str) -> tuple[dict[int, int], int]:
    """Return the first value of every whole-number tag of a page, and where the next page stands."""
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    tags = {}
    for n in range(entries):
        tag, kind = struct.unpack_from(f"{order}HH", data, at + 2 + 12 * n)
        if tag in (_SUBFILE, _WIDTH, _HEIGHT):
            (tags[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, at + 10 + 12 * n)
    end = at + 2 + 12 * entries
    return tags, struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
