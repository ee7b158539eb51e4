"""Photographs of telephones: HEIF files in tiles, turned, mirrored and cropped, are read whole or refused by name."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from loading import load_file
from PIL import Image, features

from dfbench.errors import DataError
from dfbench.media.heif_boxes import is_heif
from dfbench.media.limits import check_pixels
from dfbench.media.orientation import EXIF_ORIENTATIONS
from dfbench.media.reader import read

files = load_file("tools/heif_files.py", "heif_files")

WIDTH, HEIGHT, TILE = 150, 110, 64


def drawn(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 90 * np.sin(x / 9)], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    return drawn(WIDTH, HEIGHT)


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@pytest.fixture(scope="module", params=[pytest.param("av01", marks=needs_avif), "hvc1"])
def tiles(request: pytest.FixtureRequest, whole: np.ndarray) -> list[object]:
    """Six tiles of 64x64 pixels that cover the image; their border is repeated beyond it."""
    padded = np.pad(whole, ((0, 2 * TILE - HEIGHT), (0, 3 * TILE - WIDTH), (0, 0)), "edge")
    encode = files.coded_av1 if request.param == "av01" else files.coded_hevc
    return [encode(padded[y : y + TILE, x : x + TILE]) for y in (0, TILE) for x in (0, TILE, 2 * TILE)]


def only_frame(path: Path) -> np.ndarray:
    reading = read(path, range)
    assert (reading.frame_count, reading.mode, reading.times) == (1, "image", {0: None})
    image: np.ndarray = reading.frames[0].image
    assert (reading.height, reading.width) == image.shape[:2]
    return image


def close(image: np.ndarray, expected: np.ndarray) -> bool:
    return image.shape == expected.shape and np.abs(image.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("inline", [True, False])
def test_tiles_are_put_together(tmp_path: Path, tiles: list[object], whole: np.ndarray, inline: bool) -> None:
    items = files.grid(tiles, 3, WIDTH, HEIGHT)
    brand = "avif" if tiles[0].kind == "av01" else "heic"
    path = files.write_heif(tmp_path / "a.mp4", items, brand=brand, inline=inline)
    image = only_frame(path)
    assert close(image, whole)
    if brand == "avif":  # libavif, an independent reader
        assert np.abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - image).max() <= 3


def test_the_primary_image_is_read_and_no_other(tmp_path: Path, tiles: list[object], whole: np.ndarray) -> None:
    encode = files.coded_av1 if tiles[0].kind == "av01" else files.coded_hevc
    thumbnail = encode(np.zeros((256, 320, 3), np.uint8))  # larger than a tile
    items = files.grid(tiles, 3, WIDTH, HEIGHT)
    both = files.write_heif(tmp_path / "a", [*items, thumbnail], primary=len(items))
    assert close(only_frame(both), whole)
    assert close(only_frame(files.write_heif(tmp_path / "b", [*items, thumbnail])), np.zeros((256, 320, 3), np.uint8))


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation(tmp_path: Path, tiles: list[object], whole: np.ndarray, value: int) -> None:
    quarters, axis = ((0, None), (0, 1), (2, None), (0, 0), (1, 0), (3, None), (3, 0), (1, None))[value - 1]
    properties = [files.turned(quarters)] if quarters else []
    properties += [] if axis is None else [files.mirrored(axis)]
    items = files.grid(tiles, 3, WIDTH, HEIGHT, *properties)
    assert close(only_frame(files.write_heif(tmp_path / "a", items)), EXIF_ORIENTATIONS[value - 1].apply(whole))


def test_clean_aperture_is_applied_before_turning(tmp_path: Path, tiles: list[object], whole: np.ndarray) -> None:
    properties = files.clean_aperture(100, 60, 10, -6), files.turned(1)
    path = files.write_heif(tmp_path / "a", files.grid(tiles, 3, WIDTH, HEIGHT, *properties))
    assert close(only_frame(path), np.rot90(whole[22:82, 30:130]))
    outside = files.clean_aperture(WIDTH, HEIGHT, 10, 0)
    with pytest.raises(DataError, match="clean aperture"):
        read(files.write_heif(tmp_path / "b", files.grid(tiles, 3, WIDTH, HEIGHT, outside)), range)


@needs_avif
def test_single_images_have_the_pixels_of_plain_decoding(tmp_path: Path, whole: np.ndarray) -> None:
    for number, item in enumerate((files.coded_av1(whole), files.coded_hevc(whole))):
        path = files.write_heif(tmp_path / f"{number}", [item])
        with av.open(str(path)) as container:
            plain = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert np.array_equal(only_frame(path), plain)


def test_what_is_not_supported_is_refused_by_name(tmp_path: Path, tiles: list[object]) -> None:
    items = files.grid(tiles, 3, WIDTH, HEIGHT)
    for kind in ("iovl", "iden", "jpeg", "unci"):
        other = files.Item(kind, bytes(8), (), (1,))
        with pytest.raises(DataError, match=f"type '{kind}'") as error:
            read(files.write_heif(tmp_path / kind, [*items, other]), range)
        assert error.value.hint == "convert it to JPEG or PNG"
        assert str(tmp_path / kind) in error.value.message


def test_damaged_images_are_data_errors(tmp_path: Path, tiles: list[object]) -> None:
    items = files.grid(tiles, 3, WIDTH, HEIGHT)
    lost = [*items[:2], files.Item(items[2].kind, b"\0" * 40, items[2].properties), *items[3:]]
    wrong = {
        "tile 2 does not decode|the image does not decode": lost,
        "do not cover": files.grid(tiles, 3, 3 * TILE + 1, HEIGHT),
        "has 6 tiles": [*tiles, files.Item("grid", bytes([0, 0, 3, 1, 0, 9, 0, 9]), (), tuple(range(1, 7)))],
        "more than the limit": files.grid(tiles, 3, 60000, 60000),
        "boxes of the HEIF image": [*tiles, files.Item("grid", b"\0", (), tuple(range(1, 7)))],
    }
    for n, (message, damaged) in enumerate(wrong.items()):
        with pytest.raises(DataError, match=message):
            read(files.write_heif(tmp_path / f"{n}", damaged), range)
    data = files.write_heif(tmp_path / "a", items).read_bytes()
    for part in (30, 200, 500, len(data) // 2):
        (tmp_path / "a").write_bytes(data[:part])
        with pytest.raises(DataError):
            read(tmp_path / "a", range)
    with pytest.raises(DataError):
        check_pixels(60000, 60000)


@needs_avif
def test_clips_and_sequences_are_no_images(tmp_path: Path, whole: np.ndarray) -> None:
    path = tmp_path / "a.avif"
    frames = [Image.fromarray(np.roll(whole, 9 * n, 1)) for n in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    assert not is_heif(path)
    assert read(path, range).frame_count == 3
    (tmp_path / "text").write_bytes(b"ftypheic")
    assert not is_heif(tmp_path / "text")
    assert not is_heif(tmp_path)
