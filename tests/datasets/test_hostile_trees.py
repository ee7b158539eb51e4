"""Links in circles, named pipes, files that operating systems leave behind, and archives made to exhaust memory."""

from __future__ import annotations

import gzip
import io
import logging
import os
import sys
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from dfbench.datasets import archives, tree
from dfbench.datasets.archives import LARGEST_HEADER, list_archive, read_sequences
from dfbench.datasets.layout import walk
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.media.reader import read
from dfbench.media.sequence import FolderImages

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need privileges there")


@pytest.fixture(autouse=True)
def first_warnings() -> None:
    """Warnings are given once per path and process."""
    tree._warn_skipped.cache_clear()


def files_of(folder: Path) -> list[str]:
    return [f"{where}/{entry.name}".lstrip("/") for where, files in walk(folder) for entry in files]


def test_folders_that_link_to_each_other_are_scanned_once(
    tmp_path: Path, touch: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, ["a/1.mp4", "b/deep/2.mp4", "c/3.mp4"])
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "deep" / "to-a").symlink_to(tmp_path / "a")
    (tmp_path / "c" / "up").symlink_to("..")
    (tmp_path / "c" / "self").symlink_to("self")
    (tmp_path / "c" / "ping").symlink_to("pong")
    (tmp_path / "c" / "pong").symlink_to("ping")
    with caplog.at_level(logging.WARNING, "dfbench"):
        assert files_of(tmp_path) == ["a/1.mp4", "b/deep/2.mp4", "c/3.mp4"]
    named = {Path(str(record.args[0])).name for record in caplog.records if record.args}
    assert named == {"to-b", "to-a", "up", "self", "ping", "pong"}
    assert "back to itself" in caplog.text


def test_links_without_a_circle_are_followed(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(tmp_path, ["tree/real/1.mp4", "elsewhere/deep/2.mp4"])
    (tmp_path / "tree" / "fake").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "tree" / "more").symlink_to("real")
    assert files_of(tmp_path / "tree") == ["fake/deep/2.mp4", "more/1.mp4", "real/1.mp4"]


def test_pipes_and_devices_are_never_opened(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(tmp_path, ["real/1.png", "fake/2.png"])
    os.mkfifo(tmp_path / "real" / "pipe.mp4")
    (tmp_path / "fake" / "null.mp4").symlink_to("/dev/zero")
    assert files_of(tmp_path) == ["fake/2.png", "real/1.png"]
    assert [Path(m.path).name for m in get_adapter("folder").scan(tmp_path).media] == ["2.png", "1.png"]
    for path in (tmp_path / "real" / "pipe.mp4", tmp_path / "fake" / "null.mp4"):
        with pytest.raises(DataError, match="is not a regular file"):
            read(path, lambda count: [0])


CLUTTER = ["._1.png", "__MACOSX/1.png", "__MACOSX/real/2.png", ".DS_Store", "Thumbs.db", "desktop.ini"]
CLUTTER += [
    "Icon\r",
    "$RECYCLE.BIN/3.png",
    "System Volume Information/x",
    "lost+found/4.png",
    "@eaDir/1.png",
    "#recycle/1.png",
]


def test_what_operating_systems_leave_behind_is_no_medium(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(tmp_path, ["real/1.png", "fake/2.png", *(f"real/{name}" for name in CLUTTER), *CLUTTER])
    found = get_adapter("folder").scan(tmp_path)
    assert sorted(m.path for m in found.media) == ["fake/2.png", "real/1.png"]
    assert found.excluded == {}
    assert list(FolderImages(tmp_path / "real").names()) == ["1.png"]
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as archive:
        for name in ("0/1.png", *(f"0/{name}" for name in CLUTTER)):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    listing = list_archive(file)
    assert (listing.sequences, listing.unsafe, listing.others) == ({"0": 1}, (), ())
    assert [name for _, name, _ in read_sequences(file, ["0"])] == ["1.png"]


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def bomb(path: Path, kind: str) -> Path:
    """A small gzip file whose headers ask for gigabytes, or that has very many members."""
    contents = {
        "names": header(tarfile.GNUTYPE_LONGNAME, 2**31),
        "pax": header(tarfile.XHDTYPE, 2**31),
        "many pax": header(tarfile.XHDTYPE, 0) * 5000,
        "members": header(tarfile.REGTYPE, 0, "0/2.txt") * 5000,
        "a large image": header(tarfile.REGTYPE, 2**33, "0/2.png"),
    }
    path.write_bytes(gzip.compress(header(tarfile.REGTYPE, 0, "0/1.png") + contents[kind] + bytes(2**23), 1))
    return path


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("names", f"an extended header has {2**31} bytes"),
        ("pax", f"an extended header has {2**31} bytes"),
        ("many pax", "recursion"),
        ("members", f"inflates to more than {2**21} bytes"),
        ("a large image", "inflates to more than"),
    ],
)
def test_archives_that_exhaust_memory(tmp_path: Path, kind: str, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_INFLATED", (1, 2**21))
    file = bomb(tmp_path / "a.tar.gz", kind)
    assert file.stat().st_size < 2**20
    tracemalloc.start()
    try:
        listing = list_archive(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert listing.sequences == {"0": 1}
    assert damage in listing.damage
    assert peak < 12 * 2**20  # the names of the files that are reported, and what is inflated at a time


def test_ordinary_long_names_are_read(tmp_path: Path) -> None:
    for number, kind in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        file = tmp_path / f"{number}.tar"
        with tarfile.open(file, "w", format=kind) as archive:
            archive.addfile(tarfile.TarInfo(f"{'n' * 200}/é{'x' * 200}.png"), io.BytesIO())
        assert list_archive(file).sequences == {"n" * 200: 1}
    assert LARGEST_HEADER > 2**16


def test_a_closed_folder_that_the_file_system_keeps_does_not_stop_a_scan(
    tmp_path: Path, touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, ["real/1.png", "fake/2.png", "lost+found/x"])
    honest = os.scandir

    def refuse(path: str | Path) -> object:
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert len(get_adapter("folder").scan(tmp_path).media) == 2


def test_members_of_archives_whose_names_are_not_utf8(tmp_path: Path) -> None:
    for part in ("real_train", "fake_test"):
        (tmp_path / part).mkdir()
        with tarfile.open(tmp_path / part / "0.tar", "w", format=tarfile.GNU_FORMAT, encoding="gbk") as archive:
            for name in ("12/1.png", "\u4f60\u597d/1.png"):
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    found = get_adapter("wilddeepfake").scan(tmp_path)
    assert sorted(m.name for m in found.media) == ["test/0/12", "train/0/12"]
    assert [len(paths) for paths in found.excluded.values()] == [2]
    assert any("2 files are not used" in w and "\\xc4\\xe3\\xba\\xc3" in w for w in found.warnings)
