"""Frame callbacks: the same frames and times as without one, in small batches, by every way of reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dfbench.media.frames import BATCH_FRAMES, Frame, Reading
from dfbench.media.images import encode_png
from dfbench.media.reader import read
from dfbench.media.sequence import FolderImages, read_sequence

Make = Callable[..., Path]
DECODERS = ["pyav", pytest.param("decord", marks=pytest.mark.skipif(find_spec("decord") is None, reason="no decord"))]


class Recorder:
    """Remembers how it was called."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, frames: Sequence[Frame]) -> list[bytes]:
        self.calls.append([frame.index for frame in frames])
        return [frame.image.tobytes() for frame in frames]


def third(count: int) -> list[int]:
    return list(range(0, count, 3))


def assert_same(kept: Reading, called: Reading, recorder: Recorder) -> None:
    assert kept.results == {}
    assert called.frames == {}
    assert {i: f.image.tobytes() for i, f in kept.frames.items()} == called.results
    assert {i: f.time_s for i, f in kept.frames.items()} == kept.times == called.times
    same = ("frame_count", "width", "height", "fps", "errors", "mode")
    assert [getattr(kept, name) for name in same] == [getattr(called, name) for name in same]
    assert all(0 < len(call) <= BATCH_FRAMES and call == sorted(call) for call in recorder.calls)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_clip(tmp_path: Path, make_clip: Make, decoder: str) -> None:
    path = make_clip(tmp_path / "a.mp4", 60, options={"g": "20", "bf": "2"})
    recorder = Recorder()
    assert_same(read(path, third, decoder), read(path, third, decoder, recorder), recorder)
    assert [index for call in recorder.calls for index in call] == third(60)
    assert len(recorder.calls) == -(-20 // BATCH_FRAMES) > 1


@pytest.mark.parametrize(("name", "damage"), [("a.avi", 1.0), ("a.ts", 0.6)])
def test_a_clip_that_is_read_from_the_start(tmp_path: Path, make_clip: Make, name: str, damage: float) -> None:
    path = make_clip(tmp_path / name, 60, options={"g": "20"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * damage)])
    recorder = Recorder()
    kept = read(path, third)
    assert kept.mode == "sequential"
    assert_same(kept, read(path, third, callback=recorder), recorder)


def test_times_that_do_not_rise_are_forgotten(tmp_path: Path, make_clip: Make) -> None:
    called = read(make_clip(tmp_path / "a.avi", 20), third, callback=Recorder())
    assert list(called.results) == third(20)
    assert called.times == dict.fromkeys(third(20))


def test_images_and_sequences(tmp_path: Path) -> None:
    images = [np.full((30 + n, 40, 3), 10 * n, np.uint8) for n in range(11)]
    for number, image in enumerate(images):
        (tmp_path / f"{number}.png").write_bytes(encode_png(image))
    (tmp_path / "3.png").write_bytes(b"no image")
    recorder = Recorder()
    source = FolderImages(tmp_path)
    kept, called = read_sequence(source, range, "x"), read_sequence(source, range, "x", recorder)
    assert_same(kept, called, recorder)
    assert sorted(called.errors) == [3]
    recorder = Recorder()
    assert_same(read(tmp_path / "5.png", range), read(tmp_path / "5.png", range, callback=recorder), recorder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_choosing_nothing_shows_nothing(tmp_path: Path, make_clip: Make, decoder: str) -> None:
    recorder = Recorder()
    called = read(make_clip(tmp_path / "a.mp4", 12), lambda _: [], decoder, recorder)
    assert (called.frame_count, called.width, called.height, called.results) == (12, 192, 112, {})
    assert recorder.calls == []


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_a_callback_raises_is_not_taken_for_damage(tmp_path: Path, make_clip: Make, decoder: str) -> None:
    def fail(frames: Sequence[Frame]) -> list[int]:
        raise RuntimeError(f"frame {frames[0].index}")

    with pytest.raises(RuntimeError, match="frame 0"):
        read(make_clip(tmp_path / "a.mp4", 12), third, decoder, fail)
