"""All frames of a clip in one pass, at the pace of whoever takes them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from dfbench.errors import DataError
from dfbench.media import stream
from dfbench.media.encode import write_clip
from dfbench.media.reader import read


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "clip.mp4"
    rng = np.random.default_rng(0)
    write_clip(path, (rng.integers(0, 255, (32, 48, 3), np.uint8) for _ in range(70)), 25, 30)
    return path


def test_it_gives_every_frame_once(clip: Path) -> None:
    expected = read(clip, range).frames
    found = list(stream.stream_frames(clip))
    assert [frame.index for frame in found] == list(range(70)) == sorted(expected)
    assert all((frame.image == expected[frame.index].image).all() for frame in found)
    assert [frame.time_s for frame in found] == [expected[n].time_s for n in range(70)]


def test_who_leaves_early_stops_the_decoding(clip: Path) -> None:
    before = threading.active_count()
    frames = stream.stream_frames(clip)
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_frames_that_come_again_are_passed_over(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(path, choose, decoder, look):
        read(path, lambda count: range(20), decoder, look)
        return read(path, choose, decoder, look)

    monkeypatch.setattr(stream, "read", twice)
    assert [frame.index for frame in stream.stream_frames(clip)] == list(range(70))


def test_errors_come_through(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no clip")
    with pytest.raises(DataError, match="does not open as a clip"):
        list(stream.stream_frames(tmp_path / "a.mp4"))
