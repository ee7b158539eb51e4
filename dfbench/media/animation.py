"""Animations and pages in formats of still images: animated WebP, APNG, and TIFF files of several pages.

Frames are decoded one after the other, so that memory does not grow with their number. Pillow composes the frames of
WebP and PNG animations; pages of TIFF are independent, and OpenCV decodes them as it decodes a file of one page.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media.limits import beat, check_pixels, is_machine_fault
from dfbench.media.orientation import exif_orientation
from dfbench.media.tiff import decode_page, list_pages

MAY_MOVE = frozenset({"png", "webp", "tiff"})
"""Formats of still images whose files may hold several images."""


@dataclass(frozen=True)
class DecodedImage:
    """One image of an animation.

    Attributes:
        index: its number from 0.
        time_s: when it is shown, in seconds; None for pages.
        image: uint8 (height, width, 3), RGB, upright; None where it does not decode.
        error: why it does not decode.
    """

    index: int
    time_s: float | None
    image: NDArray[np.uint8] | None
    error: str = ""


def image_count(kind: str, data: bytes) -> int:
    """Return how many images a file holds, by its structure; 1 for a still image, and where that is damaged.

    Of an animation those count that lie in the file; of TIFF the pages that are neither masks nor reduced copies.

    Args:
        kind: the format, from :func:`dfbench.media.images.image_format`.
        data: the whole file.
    """
    try:
        if kind == "png":
            return max(1, _png_frames(data))
        if kind == "webp":
            return max(1, len(_webp_frames(data)))
        if kind == "tiff":
            return max(1, len(list_pages(data)))
    except (struct.error, IndexError):
        pass
    return 1


def decode_images(kind: str, data: bytes, numbers: Sequence[int]) -> Iterator[DecodedImage]:
    """Decode some images of a file that holds several.

    Args:
        kind: ``"png"``, ``"webp"`` or ``"tiff"``.
        data: the whole file.
        numbers: of the images, rising, below :func:`image_count`.

    Yields:
        The images. After one of an animation that does not decode none does, since each is drawn over the one before.

    Raises:
        DataError: an image has more than :data:`~dfbench.media.limits.MOST_PIXELS` pixels.
        MemoryError: memory ran out.
    """
    return _pages(data, numbers) if kind == "tiff" else _frames(data, numbers)


def _frames(data: bytes, numbers: Sequence[int]) -> Iterator[DecodedImage]:
    from PIL import Image

    time, at = 0.0, 0
    wanted = set(numbers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about sizes: they are checked here
            with Image.open(io.BytesIO(_without_cut_frame(data)), formats=("PNG", "WEBP")) as file:
                check_pixels(*file.size)
                upright = exif_orientation(file.getexif())
                first = int(getattr(file, "default_image", False))  # an image for programs that know no animations
                for at in range(numbers[-1] + 1):
                    beat()
                    file.seek(first + at)
                    file.load()
                    if at in wanted:
                        yield DecodedImage(at, time, upright.apply(_rgb(file)))
                    time += float(file.info.get("duration", 0)) / 1000
    except DataError:
        raise
    except Exception as error:  # whatever Pillow raises for a damaged file
        if is_machine_fault(error):
            raise MemoryError(str(error)) from error
        why = f"image {at} does not decode: {error or type(error).__name__}"
        yield from (DecodedImage(number, None, None, why) for number in numbers if number >= at)


def _rgb(image: Any) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would cut off at 255
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"), np.uint8)


def _pages(data: bytes, numbers: Sequence[int]) -> Iterator[DecodedImage]:
    found = list_pages(data)
    for number in numbers:
        beat()
        place, size = found[number]
        if size is not None:
            check_pixels(*size)
        image = decode_page(data, place) if size is not None else None
        yield DecodedImage(number, None, image, "" if image is not None else f"page {number} does not decode")


def _png_frames(data: bytes) -> int:
    """Return the number of frames of an animated PNG; 0 if it is none."""
    at, stated, found = 8, 0, 0
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL" and not stated:
            (stated,) = struct.unpack_from(">I", data, at + 8)
        if kind == b"IDAT" and not stated:
            return 0
        found += kind == b"fcTL"
        if kind == b"IEND":
            break
        at += 12 + length
    return min(stated, found)


def _webp_frames(data: bytes) -> list[int]:
    """Return where each frame of an animated WebP ends; none if it is no animation."""
    if data[12:16] != b"VP8X" or not data[20] & 2:
        return []
    at = 12
    ends = []
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8 + length + length % 2
        if kind == b"ANMF" and at <= len(data):
            ends.append(at)
    return ends


def _without_cut_frame(data: bytes) -> bytes:
    """Return an animated WebP whose last frame is cut off without that: libwebp would refuse the whole file."""
    if data[:4] != b"RIFF" or struct.unpack_from("<I", data, 4)[0] + 8 <= len(data):
        return data
    end = _webp_frames(data)[-1]
    return data[:4] + struct.pack("<I", end - 8) + data[8:end]
