"""Animated WebP, APNG and pages of TIFF are sequences, as GIF and animated AVIF are."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from dfbench.errors import DataError
from dfbench.media import limits, reader
from dfbench.media.animation import image_count
from dfbench.media.frames import BATCH_FRAMES
from dfbench.media.images import decode_image
from dfbench.media.orientation import EXIF_ORIENTATIONS
from dfbench.media.reader import is_still, read

FRAMES = 6


def drawn(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.stack([(x * 3 + 20 * number) % 256, (y * 4) % 256, np.full_like(x, 40 * number)], -1).astype(np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def saved(images: list[np.ndarray], kind: str, mode: str = "RGB", **options: Any) -> bytes:
    first, *rest = (Image.fromarray(image).convert(mode) for image in images)
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=rest, **options)
    return buffer.getvalue()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("kind", "options", "times"),
    [
        ("WEBP", {"lossless": True, "duration": [40, 40, 100, 40, 40, 40]}, [0.0, 0.04, 0.08, 0.18, 0.22, 0.26]),
        ("PNG", {"duration": 50}, [0.05 * n for n in range(FRAMES)]),
        ("PNG", {"duration": 50, "default_image": True}, [0.05 * n for n in range(FRAMES - 1)]),
        ("TIFF", {}, [None] * FRAMES),
        ("TIFF", {"compression": "tiff_lzw"}, [None] * FRAMES),
    ],
)
def test_every_image_is_a_frame(tmp_path: Path, kind: str, options: dict[str, Any], times: list[float]) -> None:
    images = [drawn(n) for n in range(FRAMES)]
    path = written(tmp_path / "a.jpg", saved(images, kind, **options))
    expected = images[1:] if options.get("default_image") else images
    reading = read(path, range)
    assert (reading.frame_count, reading.mode, reading.errors) == (len(expected), "sequential", {})
    for index, image in enumerate(expected):
        assert np.array_equal(reading.frames[index].image, image), index
        assert reading.frames[index].time_s == (None if times[index] is None else pytest.approx(times[index]))
    some = read(path, lambda n: [n - 1, 1])
    assert list(some.frames) == [1, len(expected) - 1]
    assert np.array_equal(some.frames[1].image, expected[1])
    nothing = read(path, lambda n: [])
    assert (nothing.frame_count, nothing.width, nothing.height, nothing.frames) == (len(expected), 64, 48, {})
    assert not is_still(path)


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"quality": 60}), ("PNG", {}), ("TIFF", {})])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_the_first_frame_is_what_the_still_image_was(
    tmp_path: Path, kind: str, options: dict[str, Any], mode: str
) -> None:
    data = saved([drawn(n) for n in range(3)], kind, mode, **options)
    reading = read(written(tmp_path / "a", data), range)
    assert reading.frame_count == 3
    assert np.array_equal(reading.frames[0].image, decode_image(data))


def test_frames_that_store_only_what_changes_are_composed(tmp_path: Path) -> None:
    images = [drawn(0) for _ in range(4)]
    for n, image in enumerate(images):
        image[20:26, 10 * n : 10 * n + 6] = (255, 0, 0)
    for kind, options in (("PNG", {"disposal": 0}), ("WEBP", {"lossless": True, "kmax": 100})):
        data = saved(images, kind, **options)
        reading = read(written(tmp_path / kind, data), range)
        assert [np.array_equal(reading.frames[n].image, image) for n, image in enumerate(images)] == [True] * 4


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
@pytest.mark.parametrize("value", [2, 6])
def test_orientation_of_all_frames(tmp_path: Path, kind: str, value: int) -> None:
    images = [drawn(n) for n in range(3)]
    exif = Image.Exif()
    exif[274] = value
    first, *rest = (Image.fromarray(image) for image in images)
    if kind == "TIFF":  # every page has its own
        for image in rest:
            image.encoderinfo = {"tiffinfo": {274: value}}
    options = {"lossless": True} if kind == "WEBP" else {"exif": exif}
    first.save(tmp_path / "a", kind, save_all=True, append_images=rest, **{"exif": exif, **options})
    reading = read(tmp_path / "a", range)
    shown = EXIF_ORIENTATIONS[value - 1]
    assert np.array_equal(reading.frames[0].image, shown.apply(images[0]))
    assert (reading.height, reading.width) == shown.apply(images[0]).shape[:2]
    if kind != "TIFF":
        assert np.array_equal(reading.frames[2].image, shown.apply(images[2]))


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_one_image_is_a_still_image(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "a", saved([drawn(0)], kind))
    assert is_still(path)
    reading = read(path, range)
    assert (reading.frame_count, reading.mode, reading.times) == (1, "image", {0: None})


def test_reduced_copies_masks_and_camera_files_are_no_pages(tmp_path: Path) -> None:
    def pages(*kinds: int) -> bytes:
        buffer = io.BytesIO()
        with TiffImagePlugin.AppendingTiffWriter(buffer) as writer:
            for n, subfile in enumerate(kinds):
                Image.fromarray(drawn(n)).save(writer, "TIFF", tiffinfo={254: subfile})
                writer.newFrame()
        return buffer.getvalue()

    for kinds, shown in (((0, 1, 1), [0]), ((1, 0, 0), [1, 2]), ((0, 4, 0), [0, 2]), ((2, 2), [0, 1]), ((1, 1), [0])):
        data = pages(*kinds)
        reading = read(written(tmp_path / "a", data), range)
        assert reading.frame_count == len(shown)
        assert [np.array_equal(reading.frames[n].image, drawn(page)) for n, page in enumerate(shown)] == [True] * len(
            shown
        )
    camera = bytearray(pages(0, 0))
    assert image_count("tiff", bytes(camera)) == 2
    camera[8:10] = b"CR"
    assert image_count("tiff", bytes(camera)) == 1


def test_pages_of_other_sizes(tmp_path: Path) -> None:
    data = saved([drawn(0), drawn(1, 30, 90), drawn(2)], "TIFF")
    reading = read(written(tmp_path / "a", data), range)
    assert [reading.frames[n].image.shape[:2] for n in range(3)] == [(48, 64), (90, 30), (48, 64)]


@pytest.mark.parametrize(("kind", "left"), [("WEBP", [0, 1]), ("PNG", [0, 1])])
def test_after_damage_no_frame_is_shown(tmp_path: Path, kind: str, left: list[int]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(5)]
    data = bytearray(saved(images, kind, **({"lossless": True} if kind == "WEBP" else {})))
    part = b"ANMF" if kind == "WEBP" else b"fdAT"
    places = [n for n in range(len(data)) if data.startswith(part, n)]
    at = places[2 if kind == "WEBP" else 1]
    data[at + 40 : at + 600] = bytes(560)
    reading = read(written(tmp_path / "a", bytes(data)), range)
    assert reading.frame_count == 5
    assert list(reading.frames) == left
    assert sorted(reading.errors) == [2, 3, 4]
    assert "image 2 does not decode" in reading.errors[4]


def test_a_page_that_does_not_decode_harms_no_other(tmp_path: Path) -> None:
    data = bytearray(saved([drawn(n) for n in range(3)], "TIFF", compression="tiff_deflate"))
    at = [n for n in range(len(data)) if data.startswith(b"\x78\x9c", n)][1]
    data[at : at + 40] = bytes(40)
    reading = read(written(tmp_path / "a", bytes(data)), range)
    assert (list(reading.frames), list(reading.errors)) == ([0, 2], [1])
    with pytest.raises(DataError, match="page 1 does not decode"):
        read(tmp_path / "a", lambda n: [1])


def test_a_truncated_animation_has_the_frames_that_are_left(tmp_path: Path) -> None:
    images = [drawn(n) for n in range(FRAMES)]
    data = saved(images, "WEBP", lossless=True)
    place = [n for n in range(len(data)) if data.startswith(b"ANMF", n)][3]
    reading = read(written(tmp_path / "a", data[: place + 20]), range)
    assert reading.frame_count == 3
    assert [np.array_equal(reading.frames[n].image, images[n]) for n in range(3)] == [True] * 3


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_counts_that_a_file_claims_are_not_believed(tmp_path: Path) -> None:
    data = saved([drawn(n) for n in range(3)], "PNG")
    at = data.index(b"acTL") - 4
    for claimed, count in ((10**9, 3), (2, 2)):
        changed = data[:at] + chunk(b"acTL", struct.pack(">II", claimed, 0)) + data[at + 20 :]
        assert read(written(tmp_path / "a", changed), range).frame_count == count
    pages = bytearray(saved([drawn(n) for n in range(3)], "TIFF"))
    first = struct.unpack_from("<I", pages, 4)[0]
    entries = struct.unpack_from("<H", pages, first)[0]
    struct.pack_into("<I", pages, first + 2 + 12 * entries, first)  # the next page is the first again
    assert image_count("tiff", bytes(pages)) == 1


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [written(tmp_path / kind, saved([drawn(n) for n in range(3)], kind)) for kind in ("WEBP", "PNG", "TIFF")]
    monkeypatch.setattr(limits, "MOST_PIXELS", 1000)
    for path in paths:
        with pytest.raises(DataError, match="64x48 pixels, more than the limit"):
            read(path, range)
    monkeypatch.setattr(reader, "LARGEST_IMAGE_FILE", 100)
    with pytest.raises(DataError, match="more than the limit of 100"):
        read(paths[0], range)
    assert not is_still(paths[0])


def test_frames_are_not_kept(tmp_path: Path) -> None:
    """Only the frames that are requested are converted, and batches are passed on as they fill."""
    path = written(tmp_path / "a", saved([drawn(n % 7) for n in range(40)], "WEBP", duration=10))
    sizes: list[int] = []
    reading = read(path, range, callback=lambda frames: sizes.append(len(frames)) or [0] * len(frames))
    assert sizes == [len(range(at, min(at + BATCH_FRAMES, 40))) for at in range(0, 40, BATCH_FRAMES)]
    assert reading.frames == {}
    assert len(reading.results) == reading.frame_count == 40


def test_16_bit_grey(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    first, *rest = [Image.fromarray(np.roll(ramp, 64 * n)) for n in range(3)]
    first.save(tmp_path / "a.png", save_all=True, append_images=rest)
    reading = read(tmp_path / "a.png", range)
    still = decode_image((tmp_path / "a.png").read_bytes())
    if still.max() < 200:
        pytest.skip("this Pillow writes no animations of 16 bits")
    assert np.abs(reading.frames[0].image.astype(int) - still).max() <= 2
    assert reading.frames[0].image.max() == 255 > np.median(reading.frames[0].image) > 100
