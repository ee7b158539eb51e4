"""Named pipes, sockets and devices are never opened for reading, whatever their names; links are followed to files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfbench.errors import DataError
from dfbench.media.container import open_container
from dfbench.media.heif import decode_heif
from dfbench.media.heif_boxes import is_heif
from dfbench.media.images import encode_png
from dfbench.media.reader import is_still, read
from dfbench.media.sequence import FolderImages, read_sequence

pytestmark = [pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes"), pytest.mark.timeout(60)]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("there"))
    path.symlink_to("there")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [pipe, unix_socket, device, link_to_pipe, circle])
@pytest.mark.parametrize("name", ["a.mp4", "a.heic", "a.png"])
def test_what_is_no_regular_file_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], name: str
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    path = Path(name)
    make(path)
    for work in (
        lambda: read(path, range),
        lambda: decode_heif(path),
        lambda: open_container(path).__enter__(),
    ):
        with pytest.raises(DataError, match="cannot be read"):
            work()
    assert not is_still(path)
    assert not is_heif(path)
    Path("frames").mkdir()
    (Path("frames") / "0.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    make(Path("frames") / "1.png")
    assert read_sequence(FolderImages(Path("frames")), range, "frames").frame_count == 1


def test_a_pipe_that_takes_the_place_of_a_clip_is_not_waited_for(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", 3)
    head = path.read_bytes()[:16]
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr("dfbench.media.reader._head", lambda _: head)
    with pytest.raises(DataError, match="not a regular file"):
        read(path, range)


def test_links_to_files_are_read(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    make_clip(tmp_path / "a.mp4", 3)
    (tmp_path / "b").symlink_to("a.mp4")
    (tmp_path / "c.txt").symlink_to("b")
    assert read(tmp_path / "c.txt", range).frame_count == 3
