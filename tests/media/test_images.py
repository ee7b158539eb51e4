"""Images survive storage bit by bit and are identified by their content."""

from __future__ import annotations

import hashlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.media.images import decode_image, encode_png, get_encoder, image_format, pixel_hash

PIL_Image = pytest.importorskip("PIL.Image")


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(["png", "webp"]))
@settings(max_examples=40, deadline=None)
def test_storage_is_lossless(height: int, width: int, seed: int, storage: str) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data = get_encoder(storage)(image)
    assert np.array_equal(decode_image(data), image)
    # An independent decoder sees the same colours in the same order.
    assert np.array_equal(np.asarray(PIL_Image.open(io.BytesIO(data)).convert("RGB")), image)
    assert image_format(data[:16]) == storage


def test_mirrored_views_are_stored_as_seen() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    assert np.array_equal(decode_image(encode_png(image[:, ::-1])), image[:, ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "JPEG2000"])
def test_formats_are_known_by_content_and_decoded(kind: str) -> None:
    image = np.full((32, 48, 3), (200, 100, 30), np.uint8)
    buffer = io.BytesIO()
    PIL_Image.fromarray(image).save(buffer, kind)
    assert image_format(buffer.getvalue()[:16]) == kind.lower()
    assert np.abs(decode_image(buffer.getvalue()).astype(int) - image).max() <= 6


def test_exif_rotation_grey_and_transparency() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15] = 255
    exif = PIL_Image.Exif()
    exif[274] = 6  # turn by 90 degrees clockwise to see it upright
    buffer = io.BytesIO()
    PIL_Image.fromarray(image).save(buffer, "JPEG", exif=exif)
    upright = decode_image(buffer.getvalue())
    assert upright.shape == (30, 20, 3)
    assert upright[:10].mean() > 240 > 15 > upright[20:].mean()
    for mode in ("L", "RGBA"):
        buffer = io.BytesIO()
        PIL_Image.fromarray(image).convert(mode).save(buffer, "PNG")
        assert np.array_equal(decode_image(buffer.getvalue()), image)


@pytest.mark.parametrize("data", [b"", b"no image at all", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_image_is_a_data_error(data: bytes) -> None:
    with pytest.raises(DataError):
        decode_image(data)


def test_portable_pixmaps() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    grey = np.repeat(image[:, :, :1], 3, axis=2)
    colour = b"P6\n# a comment 9 9\n7 5 # another\n255\n" + image.tobytes()
    for data, expected in ((colour, image), (b"P5 7 5 255\n" + image[:, :, 0].tobytes(), grey)):
        assert image_format(data[:16]) == "pnm"
        assert np.array_equal(decode_image(data), expected)
    for damaged in (colour[:60], b"P6\n7\n", b"P6\nsome text that is no image", b"P6 99999 99999 255\n" + bytes(99)):
        with pytest.raises(DataError):
            decode_image(damaged)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_damaged_strips_of_tiff_are_an_error(compression: str) -> None:
    image = np.random.default_rng(0).integers(0, 4, (64, 64, 3), np.uint8)
    buffer = io.BytesIO()
    PIL_Image.fromarray(image).save(buffer, "TIFF", compression=compression)
    data = bytearray(buffer.getvalue())
    assert np.array_equal(decode_image(bytes(data)), image)
    middle = len(data) // 2
    data[middle : middle + 300] = bytes([0x81, 0x00, 0xFE] * 100)
    with pytest.raises(DataError, match="the tiff image is damaged"):
        decode_image(bytes(data))


def test_formats_whose_size_is_not_known_first_are_refused() -> None:
    for kind, options in (("GIF", {}), ("TGA", {}), ("PCX", {})):
        buffer = io.BytesIO()
        PIL_Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, kind, **options)
        with pytest.raises(DataError, match="known format") as error:
            decode_image(buffer.getvalue())
        assert "JPEG" in error.value.hint
    done, sun = cv2.imencode(".ras", np.zeros((8, 8, 3), np.uint8))
    assert done
    with pytest.raises(DataError, match="known format"):
        decode_image(sun.tobytes())


def test_texts_and_clips_are_no_images() -> None:
    for head in (
        b"BMW, a text about cars",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\0\x20ftypisom",
        b"GIF89a",
        b"\x1aE\xdf\xa3",
    ):
        assert image_format(head) is None


def test_png_settings_are_those_measured() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), (0, 0), 5)
    data = encode_png(image)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data == encode_png(image.copy())
    assert len(data) < image.nbytes


def test_pixel_hash_is_that_of_the_rgb_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    assert pixel_hash(image) == hashlib.sha256(image.tobytes()).hexdigest()
    assert pixel_hash(image[:, ::-1][:, ::-1]) == pixel_hash(image)
    assert pixel_hash(decode_image(encode_png(image))) == pixel_hash(image)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), "png"]
)
def test_what_cannot_be_stored_is_refused(image: object) -> None:
    for work in (encode_png, get_encoder("webp"), pixel_hash):
        with pytest.raises(DataError):
            work(image)  # type: ignore[arg-type]


def test_unknown_storage_is_named_with_a_near_one() -> None:
    with pytest.raises(UsageError, match="unknown storage 'pngg'") as error:
        get_encoder("pngg")
    assert "'png'" in error.value.hint
