"""Facts about a media file beside its frames: size, SHA-256, format, codec, frame rate, JPEG quality.

They tell whether a file is the one that crops were made from, and whether labels can be guessed without its pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfbench.errors import DataError
from dfbench.media.container import open_clip
from dfbench.media.frames import StreamFacts
from dfbench.media.heif_boxes import is_heif
from dfbench.media.images import MAGIC_BYTES, image_format
from dfbench.media.limits import beat
from dfbench.untrusted import open_regular

_CHUNK = 2**22

# The luminance table of the JPEG standard (ITU-T T.81, table K.1), row by row: that of quality 50.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True)
class MediaFacts:
    """Facts about one medium; None where they do not apply or are not known.

    Attributes:
        size: bytes of the file; of a sequence those of the images that were read.
        sha256: of the file, hexadecimal; of a sequence that of lines ``SHA-256 name``, in the order of the images.
        format: format of an image, or container of a clip as FFmpeg names it.
        codec: of the video stream, as FFmpeg names it.
        fps: average frames per second that the container states.
        pixel_aspect: width of a pixel divided by its height; 1 where a clip states nothing.
        jpeg_quality: of a JPEG image, see :func:`jpeg_quality`; of a sequence that of the first image.
    """

    size: int
    sha256: str
    format: str | None = None
    codec: str | None = None
    fps: float | None = None
    pixel_aspect: float | None = None
    jpeg_quality: int | None = None


def file_facts(path: Path, opens: bool = True, stream: StreamFacts | None = None) -> MediaFacts:
    """Return the facts of a clip or a still image. The whole file is read once, no frame is decoded.

    Args:
        path: the file.
        opens: whether a clip's container may be opened; without it, only size and SHA-256 are known.
        stream: what its container states, if it was opened before: opening takes as long as decoding several frames.

    Raises:
        DataError: the file cannot be read.
        MemoryError: memory ran out.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK):
                beat()
                head = head or chunk
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check the file and its disk") from error
    kind = image_format(head[:MAGIC_BYTES])
    if kind is not None:
        return MediaFacts(size, digest.hexdigest(), kind, jpeg_quality=jpeg_quality(head))
    if is_heif(path):
        return MediaFacts(size, digest.hexdigest(), "heif")
    if not opens:
        return MediaFacts(size, digest.hexdigest())
    if stream is None:
        try:
            with open_clip(path) as clip:
                stream = clip.facts()
        except DataError:  # its rows say why; size and hash identify it all the same
            return MediaFacts(size, digest.hexdigest())
    return MediaFacts(size, digest.hexdigest(), stream.format, stream.codec, stream.fps, stream.pixel_aspect)


def sequence_facts(images: Iterable[tuple[str, bytes]]) -> MediaFacts | None:
    """Return the facts of an image sequence; None if it has no image.

    Args:
        images: file name and content of the images that were read, in the order of frames; one is held at a time.
    """
    digest, size = hashlib.sha256(), 0
    kind: str | None = None
    quality: int | None = None
    for name, data in images:
        if not size:
            kind, quality = image_format(data[:MAGIC_BYTES]), jpeg_quality(data)
        beat()
        size += len(data)
        digest.update(f"{hashlib.sha256(data).hexdigest()} {name}\n".encode("utf-8", "surrogateescape"))
    return MediaFacts(size, digest.hexdigest(), kind, jpeg_quality=quality) if size else None


def jpeg_quality(data: bytes) -> int | None:
    """Estimate the quality that a JPEG file was written with, from its luminance quantisation table.

    Args:
        data: the file, or its beginning up to the first image data.

    Returns:
        The quality from 1 to 100 whose table, scaled by the rule of libjpeg, is nearest to the file's (sum of absolute
        differences; the higher of equals). Encoders with tables of their own get the nearest standard quality. None if
        the data are not JPEG or have no table for luminance.
    """
    if image_format(data[:MAGIC_BYTES]) != "jpeg":
        return None
    table = _luminance_table(data)
    if table is None:
        return None
    distances = np.abs(_standard_tables() - table).sum(axis=1)
    return int(len(distances) - np.argmin(distances[::-1]))


def _luminance_table(data: bytes) -> npt.NDArray[np.int64] | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xD9, 0xDA) or length < 2:
            return None
        if marker == 0xDB:
            segment = data[at + 4 : at + 2 + length]
            while segment:
                wide, number = segment[0] >> 4, segment[0] & 15
                values = segment[1 : 65 + 64 * (wide > 0)]
                if len(values) < 64 << (wide > 0):
                    return None
                if number == 0:
                    return np.frombuffer(values, ">u2" if wide else np.uint8).astype(np.int64)
                segment = segment[1 + len(values) :]
        at += 2 + length
    return None


@cache
def _standard_tables() -> npt.NDArray[np.int64]:
    """Return (100, 64): the luminance tables of qualities 1 to 100 in the zigzag order of files."""
    order = sorted(range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8))
    base = np.array(_LUMINANCE, np.int64)[order]
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((base * scale + 50) // 100, 1, 255)
