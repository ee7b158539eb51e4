"""Still images: recognise them by content, decode and encode them, and hash their pixels."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, SetupError, unknown_name
from dfbench.io import data_sha256
from dfbench.media.image_header import image_size
from dfbench.media.limits import check_pixels, is_machine_fault
from dfbench.media.orientation import AS_STORED, Orientation, exif_orientation
from dfbench.media.tiff import is_damaged

MAGIC_BYTES = 16
"""Number of leading bytes that :func:`image_format` needs."""
_OWN_ORIENTATION = MappingProxyType({"webp": cv2.IMREAD_IGNORE_ORIENTATION})  # OpenCV before 5 ignores EXIF of WebP
SUPPORTED = "supported: JPEG, PNG, WebP, BMP, TIFF, JPEG 2000, PGM and PPM"
"""The hint where a file is no image."""
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def image_format(head: bytes) -> str | None:
    """Return the format of a still image by its first bytes, whatever its file name.

    Args:
        head: at least the first :data:`MAGIC_BYTES` bytes of the file.

    Returns:
        ``"jpeg"``, ``"png"``, ``"webp"``, ``"bmp"``, ``"tiff"``, ``"jpeg2000"`` or ``"pnm"``; ``None`` for anything
        else.

    >>> image_format(bytes.fromhex("ffd8ffe000104a46"))
    'jpeg'
    >>> image_format(b"a text file") is None
    True
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # Texts can begin with "BM" too; bytes 6 to 9 are reserved and zero in every bitmap.
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "tiff"
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "jpeg2000"
    if head[:2] in (b"P5", b"P6") and head[2:3].isspace():  # binary PGM and PPM
        return "pnm"
    return None


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode an image file; EXIF rotation is applied, transparency dropped, grey expanded to three channels.

    Args:
        data: the whole file.

    Returns:
        uint8 array (height, width, 3), RGB.

    Raises:
        DataError: the bytes are not an image, a damaged one, or one with more than
            :data:`~dfbench.media.limits.MOST_PIXELS` pixels.
        MemoryError: memory ran out.
    """
    if not data:
        raise DataError("the image file is empty", "copy or download it again")
    kind = image_format(data[:MAGIC_BYTES])
    if kind is None:  # OpenCV knows more formats, whose size it does not state before it decodes them
        raise DataError("not an image in a known format", SUPPORTED)
    size = image_size(kind, data)
    if size is None:
        raise DataError(
            f"the {kind} image is damaged: its header states no size, or it is truncated", "copy or download it again"
        )
    check_pixels(*size)
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | _OWN_ORIENTATION.get(kind, 0))
    except cv2.error as error:
        if is_machine_fault(error):
            raise MemoryError(str(error)) from error
        raise DataError(f"the image does not decode: {error}", "the file is damaged or too large") from error
    if kind == "tiff" and bgr is not None and is_damaged(data):
        bgr = None
    if bgr is None:
        # OpenCV does not say whether the file is damaged or memory ran out: this raises MemoryError in that case.
        np.empty((4, size[1], size[0], 3), np.uint8)
        raise DataError(f"the {kind} image is damaged", SUPPORTED)
    image = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    return webp_orientation(data).apply(image) if kind == "webp" else image


def webp_orientation(data: bytes) -> Orientation:
    """Return the EXIF orientation of a WebP file."""
    if data[12:16] != b"VP8X" or not data[20] & 8:  # the usual case, without Pillow
        return AS_STORED
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as file:
            return exif_orientation(file.getexif())
    except Exception as error:
        if is_machine_fault(error):
            raise MemoryError(str(error)) from error
        return AS_STORED


@cache
def fast_png_decoder() -> Callable[[bytes, tuple[int, int], str], NDArray[np.uint8]] | None:
    """Return the PNG decoder of kornia-rs (file, (height, width), ``"rgb"``); None where it is not installed."""
    try:
        from kornia_rs.io import decode_image_png_u8
    except ImportError:
        return None
    decoder: Callable[[bytes, tuple[int, int], str], NDArray[np.uint8]] = decode_image_png_u8
    return decoder


def decode_crop(data: bytes, size: int) -> NDArray[np.uint8]:
    """Return a stored crop: uint8 (size, size, 3), RGB.

    If kornia-rs is installed (extra ``models``), it decodes PNG files as :func:`encode_png` writes them, of which every
    decoder gives the same pixels. Anything else, and what it refuses, is decoded by OpenCV.

    Raises:
        DataError: it does not decode, or has another size.
    """
    decoder = fast_png_decoder()
    if decoder is not None and _is_plain_png(data, size):
        with suppress(Exception):  # whatever a damaged file raises: OpenCV decides about it
            return decoder(data, (size, size), "rgb")
    return decode_sized(data, size, size)


def decode_sized(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Return an image file whose size is known: uint8 (height, width, 3), RGB.

    The size that the file states is compared first: a damaged header can ask for gigabytes of pixels.

    Raises:
        DataError: it does not decode, or has another size.
    """
    kind = image_format(data[:MAGIC_BYTES])
    stated = image_size(kind, data) if kind is not None else None
    if stated is not None and stated not in ((width, height), (height, width)):  # EXIF rotation exchanges the sides
        raise _other_size(stated, width, height)
    image = decode_image(data)
    if image.shape != (height, width, 3):
        raise _other_size((image.shape[1], image.shape[0]), width, height)
    return image


def _other_size(found: tuple[int, int], width: int, height: int) -> DataError:
    return DataError(
        f"the image has {found[0]}x{found[1]} pixels, expected {width}x{height}", "see: dfbench verify MANIFEST"
    )


def _is_plain_png(data: bytes, size: int) -> bool:
    """Whether a file is a PNG of 8-bit RGB without interlacing, and without chunks besides those of its pixels."""
    if not data.startswith(_PNG_START + size.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"):
        return False
    place, kind = 33, b"IDAT"
    while kind == b"IDAT":  # searching the file for names of other chunks would take longer than decoding it
        kind = data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return kind == b"IEND"


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode as PNG: AVG filter and Huffman codes alone, 1.6 times faster than with zlib level 1 and 1 to 10 % larger.

    Args:
        image: uint8 array (height, width, 3), RGB.

    Raises:
        DataError: the array is not such an image.
    """
    # No compression level: OpenCV would replace the strategy by that of the level.
    settings = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]
    settings += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    done, data = cv2.imencode(".png", cv2.cvtColor(checked(image), cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise DataError(f"an image of {image.shape[1]}x{image.shape[0]} is too large for PNG", "make it smaller")
    return bytes(data)


def encode_webp(image: NDArray[np.uint8]) -> bytes:
    """Encode as lossless WebP (method 0, quality 0): 30 % smaller than :func:`encode_png` and faster to decode.

    Args:
        image: uint8 array (height, width, 3), RGB, at most 16383 pixels per side.

    Raises:
        DataError: the array is not such an image.
        SetupError: Pillow with WebP support is not installed.
    """
    pixels = checked(image)
    try:
        from PIL import Image, features
    except ImportError as error:
        raise SetupError("WebP storage needs Pillow", "pip install pillow, or use png storage") from error
    if not features.check("webp"):
        raise SetupError("this Pillow was built without WebP", "install Pillow from its wheel, or use png storage")
    if max(image.shape[:2]) > 16383:
        raise DataError(f"an image of {image.shape[1]}x{image.shape[0]} is too large for WebP", "use png storage")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


ENCODERS: Mapping[str, Callable[[NDArray[np.uint8]], bytes]] = MappingProxyType(
    {"png": encode_png, "webp": encode_webp}
)
"""Storage name -> lossless encoder."""


def get_encoder(storage: str = "png") -> Callable[[NDArray[np.uint8]], bytes]:
    """Return the lossless encoder of a storage name, ``"png"`` or ``"webp"``; :func:`decode_image` reads both.

    Raises:
        UsageError: the name is unknown.
    """
    if storage not in ENCODERS:
        raise unknown_name("storage", storage, ENCODERS)
    return ENCODERS[storage]


def pixel_hash(image: NDArray[np.uint8]) -> str:
    """Return the SHA-256 (hexadecimal) of the RGB bytes in row order, independent of how the image is stored.

    Args:
        image: uint8 array (height, width, 3), RGB.

    Raises:
        DataError: the array is not such an image.

    >>> pixel_hash(np.zeros((2, 2, 3), np.uint8))[:8]
    '15ec7bf0'
    """
    return data_sha256(checked(image).tobytes())


def checked(image: NDArray[np.uint8], expected: str = "an image must be a uint8 array") -> NDArray[np.uint8]:
    """Check that an array is an RGB image, and return it contiguous in memory.

    Args:
        image: uint8 array (height, width, 3).
        expected: how the error message begins.

    Raises:
        DataError: the array is not such an image.
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or not image.size
    ):
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"{expected} (height, width, 3), not {what}", "convert it to RGB uint8 first")
    return np.ascontiguousarray(image)  # OpenCV does not accept mirrored views
