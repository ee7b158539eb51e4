"""Images are upright: display matrices of clips, EXIF of images, and the properties of AVIF images."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from dfbench.errors import DataError
from dfbench.media.images import decode_image
from dfbench.media.orientation import AS_STORED, EXIF_ORIENTATIONS, Orientation, matrix_orientation
from dfbench.media.reader import read

Make = Callable[..., Path]

# a, b, c, d of ISO/IEC 14496-12: (p, q) is shown at (a p + c q, b p + d q), q counted downwards.
MATRICES = [
    (1, 0, 0, 1),
    (-1, 0, 0, 1),
    (-1, 0, 0, -1),
    (1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, 1, -1, 0),
    (0, -1, -1, 0),
    (0, -1, 1, 0),
]


def shown_by(matrix: tuple[int, int, int, int], image: np.ndarray) -> np.ndarray:
    """Move every pixel to where the matrix shows it, one by one."""
    a, b, c, d = matrix
    places = {(a * p + c * q, b * p + d * q): image[q, p] for q in range(len(image)) for p in range(image.shape[1])}
    left, top = (min(place[n] for place in places) for n in (0, 1))
    out = np.zeros((*(image.shape[:2] if a else image.shape[1::-1]), 3), np.uint8)
    for (x, y), value in places.items():
        out[y - top, x - left] = value
    return out


def with_matrix(path: Path, matrix: tuple[int, int, int, int], scale: float = 1.0) -> Path:
    a, b, c, d = (round(value * scale * (1 << 16)) for value in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """No two corners are alike: uint8 (48, 64, 3)."""
    blocks = np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]], np.uint8)
    return np.kron(blocks, np.ones((24, 32, 1), np.uint8))


def test_the_eight_values_of_exif_are_the_eight_matrices(drawn: np.ndarray) -> None:
    assert len(set(EXIF_ORIENTATIONS)) == 8
    small = drawn[::12, ::8]
    for matrix, orientation in zip(MATRICES, EXIF_ORIENTATIONS, strict=True):
        a, b, c, d = matrix
        assert matrix_orientation([a, b, 0, c, d, 0, 0, 0, 1]) == orientation
        assert np.array_equal(orientation.apply(small), shown_by(matrix, small))
        assert orientation.is_mirror == (a * d - b * c < 0)
        # Pillow's view of the same value, an independent implementation.
        buffer = io.BytesIO()
        Image.fromarray(small).save(buffer, "PNG", exif=exif(EXIF_ORIENTATIONS.index(orientation) + 1))
        assert np.array_equal(decode_image(buffer.getvalue()), orientation.apply(small))


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_display_matrix(tmp_path: Path, make_clip: Make, matrix: tuple[int, int, int, int], container: str) -> None:
    path = make_clip(tmp_path / f"a.{container}", 6)
    plain = read(path, lambda n: [1, 5])
    turned = read(with_matrix(path, matrix, 1.0 if container == "mp4" else 0.5), lambda n: [1, 5])
    assert turned.mode == "index"
    for index, frame in turned.frames.items():
        assert np.array_equal(frame.image, shown_by(matrix, plain.frames[index].image))
    assert (turned.height, turned.width) == turned.frames[1].image.shape[:2]


def test_damaged_clips_are_mirrored_too(tmp_path: Path, make_clip: Make) -> None:
    path = make_clip(tmp_path / "a.mov", 30, options={"g": "5"}, container_options={"movflags": "faststart"})
    plain = read(path, lambda n: [3]).frames[3].image
    data = with_matrix(path, (-1, 0, 0, 1)).read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reading = read(path, lambda n: [3])
    assert reading.mode == "sequential"
    assert np.array_equal(reading.frames[3].image, plain[:, ::-1])


def test_turns_by_odd_angles_are_rounded() -> None:
    for degrees, nearest in ((30, AS_STORED), (60, EXIF_ORIENTATIONS[5]), (200, EXIF_ORIENTATIONS[2])):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix = [round(v * 65536) for v in (c, s, 0, -s, c)]
        assert matrix_orientation([*matrix, 0, 0, 0, 1 << 30]) == nearest
    assert matrix_orientation([0] * 9) == AS_STORED
    assert Orientation(mirrored_y=True).is_mirror


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
    ],
)
def test_orientation_of_still_images(
    tmp_path: Path, drawn: np.ndarray, kind: str, options: dict[str, object], value: int
) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / "a"
    Image.fromarray(drawn).save(path, kind, exif=exif(value), **options)
    reading = read(path, lambda n: [0])
    want = EXIF_ORIENTATIONS[value - 1].apply(drawn)
    assert (reading.height, reading.width) == want.shape[:2]
    assert np.abs(reading.frames[0].image.astype(int) - want)[2:-2, 2:-2].mean() < 4


def test_decord_refuses_a_mirrored_clip(tmp_path: Path, make_clip: Make) -> None:
    pytest.importorskip("decord")
    path = with_matrix(make_clip(tmp_path / "a.mp4", 6), (-1, 0, 0, 1))
    with pytest.raises(DataError, match="mirrors"):
        read(path, lambda n: [0], "decord")


def exif(value: int) -> Image.Exif:
    out = Image.Exif()
    out[274] = value
    return out
