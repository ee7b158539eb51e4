"""Crops are decoded to the same pixels with and without kornia-rs, and refused for the same reasons."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

from dfbench.errors import DataError
from dfbench.media import images
from dfbench.media.images import decode_crop, decode_image, encode_png, encode_webp

SIZE = 32
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE, 3), 7, np.uint8)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def inserted(file: bytes, extra: bytes) -> bytes:
    """The file with another chunk before its end."""
    return file[:-12] + extra + file[-12:]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Stands in for kornia-rs: decodes with OpenCV, raises what kornia-rs raises, and notes the calls."""
    noted: list[tuple[int, int]] = []

    def decoder(data: bytes, size: tuple[int, int], _: str) -> np.ndarray:
        noted.append(size)
        try:
            return decode_image(data)
        except DataError as error:
            raise Exception("Failed to decode the png image. CRC error") from error

    monkeypatch.setattr(images, "fast_png_decoder", lambda: decoder)
    return noted


def refuse(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_crop(data, SIZE)


def test_files_of_prepare_go_to_the_fast_decoder(calls: list[tuple[int, int]]) -> None:
    for image in IMAGES:
        assert np.array_equal(decode_crop(encode_png(image), SIZE), image)
    assert calls == [(SIZE, SIZE)] * 2


def test_other_files_do_not(calls: list[tuple[int, int]]) -> None:
    (image, _), file = IMAGES, encode_png(IMAGES[0])
    grey = np.ascontiguousarray(np.repeat(image[..., :1], 3, axis=2))
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"  # an EXIF block: no rotation
    for data in (encode_webp(image), inserted(file, chunk(b"eXIf", tiff))):
        assert np.array_equal(decode_crop(data, SIZE), image)
    gamma = file[:33] + chunk(b"gAMA", (45455).to_bytes(4, "big")) + file[33:]
    assert np.array_equal(decode_crop(gamma, SIZE), decode_image(gamma))
    one_plane = b"".join(b"\0" + row.tobytes() for row in image[..., 0])
    header = SIZE.to_bytes(4, "big") * 2 + b"\x08\0\0\0\0"
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    png = start + chunk(b"IDAT", zlib.compress(one_plane)) + chunk(b"IEND", b"")
    assert np.array_equal(decode_crop(png, SIZE), grey)
    refuse(encode_png(image[:, :16]), "16x32 pixels, expected 32x32")
    assert calls == []


def damaged() -> dict[str, bytes]:
    file = encode_png(IMAGES[0])
    middle = len(file) // 2
    flipped = file[:middle] + bytes([file[middle] ^ 16]) + file[middle + 1 :]
    return {"cut": file[:middle], "no end": file[:-12], "flipped": flipped, "header alone": file[:41], "empty": b""}


@pytest.mark.parametrize("name", damaged())
def test_damage_is_refused_by_opencv(calls: list[tuple[int, int]], name: str) -> None:
    refuse(damaged()[name], "damaged|empty")
    assert len(calls) == (name == "flipped"), "of the others the chunks are not complete"


def test_without_kornia_rs_opencv_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "fast_png_decoder", lambda: None)
    assert np.array_equal(decode_crop(encode_png(IMAGES[0]), SIZE), IMAGES[0])


def test_kornia_rs_gives_the_same_pixels() -> None:
    pytest.importorskip("kornia_rs")
    decoder: Callable[..., np.ndarray] | None = images.fast_png_decoder()
    assert decoder is not None
    for image in [*IMAGES, *RNG.integers(0, 256, (20, SIZE, SIZE, 3), np.uint8)]:
        found = decoder(encode_png(image), (SIZE, SIZE), "rgb")
        assert np.array_equal(found, image)
        assert found.flags.writeable
    for data in damaged().values():
        refuse(data, "damaged|empty")
