"""Image sequences: numeric order, gaps, damage, links, and archives that are read and never unpacked."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dfbench.datasets.archives import ArchiveImages, list_images, load_images
from dfbench.errors import DataError, UsageError
from dfbench.media import limits
from dfbench.media.images import encode_png
from dfbench.media.sequence import FolderImages, read_sequence


def grey_image(value: int, side: int = 16) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def everything(count: int) -> range:
    return range(count)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "sequence"
    place.mkdir()
    for number in (2, 10, 9, 100, 40):
        (place / f"{number}.png").write_bytes(encode_png(grey_image(number)))
    (place / "list.txt").write_text("no image")
    (place / ".hidden.png").write_bytes(encode_png(grey_image(1)))
    return place


def test_numeric_order_and_gaps(folder):
    reading = read_sequence(FolderImages(folder), everything, "s")
    assert reading.frame_count == 5
    assert [int(reading.frames[i].image[0, 0, 0]) for i in range(5)] == [2, 9, 10, 40, 100]
    assert (reading.width, reading.height, reading.fps, reading.mode) == (16, 16, None, "image")
    assert [f.time_s for f in reading.frames.values()] == [None] * 5
    few = read_sequence(FolderImages(folder), lambda n: [n - 1, 1, 1], "s")
    assert {i: int(f.image[0, 0, 0]) for i, f in few.frames.items()} == {1: 9, 4: 100}


def test_choosing_nothing_gives_length_and_size(folder):
    reading = read_sequence(FolderImages(folder), lambda _: [], "s")
    assert (reading.frame_count, reading.width, reading.frames, reading.errors) == (5, 16, {}, {})


def test_damaged_images_keep_their_numbers(folder):
    (folder / "9.png").write_bytes(b"GIF89a but not really")
    (folder / "10.png").write_bytes(encode_png(grey_image(10))[:40])
    (folder / "40.png").write_bytes(encode_png(grey_image(40, 24)))
    reading = read_sequence(FolderImages(folder), everything, "s")
    assert sorted(reading.frames) == [0, 3, 4]
    assert reading.frames[3].image.shape == (24, 24, 3)
    assert "9.png" in reading.errors[1]
    assert "damaged" in reading.errors[2]


def test_sequences_that_cannot_be_read(folder, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_sequence(FolderImages(tmp_path / "none"), everything, "s")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="s holds no image"):
        read_sequence(FolderImages(empty), everything, "s")
    (empty / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no requested image of s decodes: 1\.png"):
        read_sequence(FolderImages(empty), everything, "s")
    with pytest.raises(UsageError, match="frame 5"):
        read_sequence(FolderImages(folder), lambda _: [5], "s")


def test_a_file_that_was_never_downloaded_is_not_read_into_memory(folder, monkeypatch):
    """Room for a large file, of which the first bytes are an image."""
    monkeypatch.setattr(limits, "LARGEST_IMAGE_FILE", 5000)
    for name, size in (("9.png", 5001), ("40.png", 5000)):
        with (folder / name).open("r+b") as stream:
            stream.truncate(size)
    reading = read_sequence(FolderImages(folder), everything, "s")
    assert [int(frame.image[0, 0, 0]) for frame in reading.frames.values()] == [2, 10, 40, 100]
    assert list(reading.errors) == [1]
    assert "9.png: it cannot be read, or has more than 5000 bytes" in reading.errors[1]


def test_links_that_lead_out_are_passed_over(folder, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(encode_png(grey_image(250)))
    (folder / "5.png").symlink_to(secret)
    (folder / "6.png").symlink_to(folder / "9.png")
    names = FolderImages(folder).names()
    assert "5.png" not in names
    assert "6.png" in names


def add(archive: tarfile.TarFile, name: str, data: bytes, **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_sequences_of_an_archive_in_one_pass_each(tmp_path, mode):
    path = tmp_path / "0.tar.gz"
    with tarfile.open(path, mode) as archive:
        for number in (10, 9, 1):
            add(archive, f"0/fake/7/{number}.png", encode_png(grey_image(number)))
            add(archive, f"./0/fake/8/{number}.png", encode_png(grey_image(100 + number)))
        add(archive, "0/fake/7/../7/2.png", encode_png(grey_image(2)))
        add(archive, "/0/fake/7/3.png", encode_png(grey_image(3)))
        add(archive, "0/fake/7/4.png", b"", type=tarfile.SYMTYPE, linkname="1.png")
        add(archive, "0/fake/7/notes.txt", b"x")
    names = list_images(path, ["0/fake/7", "0/fake/8"])
    assert sorted(names["0/fake/7"]) == ["1.png", "10.png", "9.png"]
    loaded = load_images(path, {"0/fake/7": ["9.png"], "0/fake/8": ["1.png", "10.png"]})
    one = read_sequence(ArchiveImages(names["0/fake/7"], loaded["0/fake/7"]), lambda _: [1], "s")
    assert (one.frame_count, int(one.frames[1].image[0, 0, 0])) == (3, 9)
    two = read_sequence(ArchiveImages(names["0/fake/8"], loaded["0/fake/8"]), lambda n: [0, n - 1], "s")
    assert [int(f.image[0, 0, 0]) for f in two.frames.values()] == [101, 110]


def test_an_archive_that_is_cut_off_gives_what_comes_before(tmp_path):
    path = tmp_path / "0.tar"
    noise = np.random.default_rng(0)
    with tarfile.open(path, "w") as archive:
        for number in range(6):
            add(archive, f"a/{number}.png", encode_png(noise.integers(0, 255, (64, 64, 3)).astype(np.uint8)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    names = list_images(path, ["a"])["a"]
    assert 1 <= len(names) < 6
    loaded = load_images(path, {"a": names})["a"]
    assert set(loaded) <= set(names)
    path.write_bytes(b"no archive at all")
    with pytest.raises(DataError, match="cannot be read"):
        list_images(path, ["a"])
