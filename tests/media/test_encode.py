"""Clips are written exactly, deterministically and whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dfbench.errors import DataError, UsageError
from dfbench.media.encode import write_clip, write_clips


def moving(count: int, height: int = 96, width: int = 128) -> list[np.ndarray]:
    """A smooth coloured pattern that moves."""
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack(
            [128 + 100 * np.sin((x + 3 * i) / 20), 128 + 90 * np.cos((y - i) / 15), 60 + x / 2 + y / 3], axis=2
        ).astype(np.uint8)
        for i in range(count)
    ]


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("fps", [25, 30000 / 1001, Fraction(24000, 1001), 12.5])
def test_frame_times_are_exact(tmp_path: Path, fps: float | Fraction) -> None:
    write_clip(tmp_path / "a.mp4", moving(13), fps, 23)
    rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    times = [frame.pts * frame.time_base for frame in decoded(tmp_path / "a.mp4")]
    assert times == [i / rate for i in range(13)]


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, iter(moving(20)), 25, 23)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_several_files_at_once_are_the_files_of_single_calls(tmp_path: Path) -> None:
    levels = {tmp_path / "raw.mp4": 0, tmp_path / "c23.mp4": 23, tmp_path / "c40.mp4": 40}
    write_clips(levels, iter(moving(20)), 25, preset="superfast", keyframe_interval=7)
    for path, crf in levels.items():
        write_clip(tmp_path / "alone.mp4", moving(20), 25, crf, preset="superfast", keyframe_interval=7)
        assert path.read_bytes() == (tmp_path / "alone.mp4").read_bytes()


def test_several_files_at_once_appear_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="frame 3 is"):
        write_clips({tmp_path / "a.mp4": 23, tmp_path / "b.mp4": 40}, [*moving(3), *moving(1, width=64)], 25)
    with pytest.raises(DataError, match="no frames"):
        write_clips({tmp_path / "a.mp4": 23, tmp_path / "b.mp4": 40}, [], 25)
    with pytest.raises(UsageError, match="crf"):
        write_clips({tmp_path / "a.mp4": 23, tmp_path / "b.mp4": 52}, moving(3), 25)
    assert list(tmp_path.iterdir()) == []


def test_crf_zero_and_none_lose_chroma_resolution_alone(tmp_path: Path) -> None:
    frames = moving(6)
    for crf in (0, None):
        write_clip(tmp_path / "raw.mp4", frames, 25, crf)
        for frame, original in zip(decoded(tmp_path / "raw.mp4"), frames, strict=True):
            assert frame.format.name == "yuv420p"
            expected = av.VideoFrame.from_ndarray(original, format="rgb24").reformat(format="yuv420p")
            assert np.array_equal(frame.to_ndarray(), expected.to_ndarray())


def test_higher_crf_is_smaller_and_worse(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frames = [np.clip(f + rng.normal(0, 8, f.shape), 0, 255).astype(np.uint8) for f in moving(10)]
    sizes, errors = [], []
    for crf in (10, 23, 40):
        path = tmp_path / f"{crf}.mp4"
        write_clip(path, frames, 25, crf)
        sizes.append(path.stat().st_size)
        decoded_frames = [f.to_ndarray(format="rgb24").astype(int) for f in decoded(path)]
        errors.append(np.abs(np.stack(decoded_frames) - np.stack(frames)).mean())
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)


@pytest.mark.parametrize("shape", [(95, 128), (96, 127), (1, 1)])
def test_odd_sizes_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="even width and height"):
        write_clip(tmp_path / "a.mp4", [np.zeros((*shape, 3), np.uint8)], 25, 23)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [np.zeros((96, 128), np.uint8)],
        [np.zeros((96, 128, 3), np.float32)],
        [np.zeros((96, 128, 3), np.uint8), np.zeros((96, 64, 3), np.uint8)],
    ],
)
def test_bad_frames_leave_nothing_behind(tmp_path: Path, frames: list[np.ndarray]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"older")
    with pytest.raises(DataError):
        write_clip(tmp_path / "a.mp4", frames, 25, 23)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"older"


def test_a_failing_source_of_frames_leaves_nothing_behind(tmp_path: Path) -> None:
    def frames():
        yield from moving(3)
        raise RuntimeError("renderer failed")

    with pytest.raises(RuntimeError, match="renderer failed"):
        write_clip(tmp_path / "a.mp4", frames(), 25, 23)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings",
    [{"crf": 52}, {"crf": -1}, {"fps": 0}, {"fps": float("nan")}, {"preset": "quick"}, {"keyframe_interval": 0}],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, settings: dict) -> None:
    with pytest.raises(UsageError):
        write_clip(tmp_path / "a.mp4", moving(2), **{"fps": 25, "crf": 23, **settings})


def test_a_path_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="file is a file, not a folder"):
        write_clip(tmp_path / "file" / "a.mp4", moving(2), 25, 23)
