"""An mp4 file is read once, by its own index, and gives the frames that a scan of all packets gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfbench.media import container, pyav_decoder
from dfbench.media.container import open_clip
from dfbench.media.container_index import container_index
from dfbench.media.frames import Reading
from dfbench.media.reader import read

Make = Callable[..., Path]

KINDS: dict[str, dict[str, Any]] = {
    "b-frames": {"options": {"g": "20", "bf": "3", "x264-params": "b-pyramid=normal:open-gop=0"}},
    "one-group": {"options": {"g": "250", "bf": "2"}},
    "intra": {"options": {"g": "1"}},
    "audio": {"with_audio": True, "options": {"g": "16"}},
    "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20:open-gop=0"}},
    "av1": {"codec": "libsvtav1", "options": {"preset": "10", "crf": "30", "g": "20"}},
}


def content(reading: Reading[Any]) -> tuple[object, ...]:
    frames = {i: (frame.time_s, frame.image.tobytes()) for i, frame in reading.frames.items()}
    return frames, reading.frame_count, reading.width, reading.height, reading.fps, reading.errors, reading.mode


def refuse(*_: object) -> None:
    raise AssertionError("all packets were listed first")


@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_of_a_scan_without_one(
    tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = make_clip(tmp_path / "a.mp4", 70, **KINDS[kind])
    rng = np.random.default_rng(3)
    subsets = [[], [0], [69], [5, 61], range(0, 70, 3), sorted(rng.choice(70, 9, replace=False).tolist())]
    with monkeypatch.context() as patch:
        patch.setattr(pyav_decoder, "container_index", lambda *_: None)
        scanned = [content(read(path, lambda _, chosen=chosen: list(chosen))) for chosen in subsets]
    monkeypatch.setattr(pyav_decoder, "index_packets", refuse)
    assert [content(read(path, lambda _, chosen=chosen: list(chosen))) for chosen in subsets] == scanned


def test_the_file_is_read_once(tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4", 200, size=(320, 240), options={"g": "50"})
    taken = [0]

    def counting(given: Path) -> Any:
        file = opened(given)
        read_bytes = file.read

        class Counting:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def read(self, size: int = -1) -> bytes:
                data = read_bytes(size)
                taken[0] += len(data)
                return data

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return Counting()

    opened = container.open_regular
    monkeypatch.setattr(container, "open_regular", counting)
    reading = read(path, lambda count: list(range(0, count, 10)))
    assert len(reading.frames) == 20
    assert taken[0] < 1.5 * path.stat().st_size + 200_000


@pytest.mark.parametrize("what", ["place", "order", "key"])
def test_an_index_that_its_packets_contradict_is_not_used(
    tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = make_clip(tmp_path / "a.mp4", 60, options={"g": "20", "bf": "2"})
    expected = content(read(path, lambda count: range(0, count, 7)))

    def wrong(clip: Any, file: Path) -> Any:
        index = container_index(clip, file)
        assert index is not None
        changed = index.places.copy()
        changed[25] += 1
        order = index.times.copy()
        order[20:] += 400 * 512  # beyond the end of the clip
        return {
            "place": replace(index, places=changed),
            "order": replace(index, times=order, starts=np.array([0, 20, 60])),
            "key": replace(index, starts=np.array([0, 22, 40, 60])),
        }[what]

    monkeypatch.setattr(pyav_decoder, "container_index", wrong)
    found = read(path, lambda count: [*range(0, count, 7)])
    assert content(found) == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("open.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=15:open-gop=1"}}),
        ("a.mkv", {}),
        ("parts.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "20"}}),
    ],
)
def test_where_there_is_no_index_to_rely_on(
    tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any]
) -> None:
    path = make_clip(tmp_path / name, 60, **options)
    scans = []
    scan = pyav_decoder.index_packets
    monkeypatch.setattr(pyav_decoder, "index_packets", lambda file: scans.append(file) or scan(file))
    assert sorted(read(path, lambda count: [3, 29, count - 1]).frames) == [3, 29, 59]
    assert scans == [path]


def test_a_file_that_ends_before_its_index_has_none(tmp_path: Path, make_clip: Make) -> None:
    path = make_clip(tmp_path / "a.mp4", 60, container_options={"movflags": "faststart"})
    with open_clip(path) as clip:
        index = container_index(clip, path)
        assert index is not None
        assert len(index) == 60
    path.write_bytes(path.read_bytes()[:-40])
    with open_clip(path) as clip:
        assert container_index(clip, path) is None
