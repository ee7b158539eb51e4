"""decord as second reader: the same frames where it can be relied on, a clear refusal elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.media.reader import check_decoder, decoder_names, read

Maker = Callable[..., Path]


def some(count: int) -> list[int]:
    return sorted({0, 1, count // 3, count // 2, count - 1})


@pytest.fixture
def decord() -> None:
    pytest.importorskip("decord")


@pytest.mark.usefixtures("decord")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.mp4", {}),
        ("open_groups.mp4", {"options": {"x264-params": "open-gop=1:keyint=12:bframes=3"}}),
        ("no_b.mkv", {"options": {"bf": "0", "g": "10"}}),
        ("wide.mp4", {"size": (322, 182)}),
        ("full.mp4", {"pix_fmt": "yuvj420p"}),
        ("444.mp4", {"pix_fmt": "yuv444p"}),
        ("mpeg2.ts.mp4", {"codec": "mpeg2video"}),
        ("sound.mp4", {"with_audio": True}),
        ("uneven.mp4", {"times": [0, 40, 130, 150, 300, *range(400, 2350, 65)]}),
    ],
)
def test_the_same_frames_as_pyav(tmp_path: Path, make_clip: Maker, name: str, options: dict[str, object]) -> None:
    clip = make_clip(tmp_path / name, 35, **options)
    ours, theirs = read(clip, some), read(clip, some, "decord")
    assert theirs.frame_count == ours.frame_count == 35
    assert (theirs.width, theirs.height) == (ours.width, ours.height)
    assert list(theirs.frames) == list(ours.frames)
    assert theirs.errors == {}
    for number, frame in ours.frames.items():
        assert np.array_equal(theirs.frames[number].image, frame.image), number
        assert frame.time_s is not None
        assert theirs.frames[number].time_s == pytest.approx(frame.time_s, abs=2e-3)


@pytest.mark.usefixtures("decord")
def test_frames_are_the_ones_asked_for(
    tmp_path: Path, make_clip: Maker, number_of: Callable[[np.ndarray], int]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 60)
    reading = read(clip, lambda count: [59, 7, 7, 30], "decord")
    assert [number_of(reading.frames[i].image) for i in (7, 30, 59)] == [7, 30, 59]
    nothing = read(clip, lambda count: [], "decord")
    assert (nothing.frames, nothing.frame_count, nothing.width) == ({}, 60, 192)
    with pytest.raises(UsageError):
        read(clip, lambda count: [60], "decord")


@pytest.mark.usefixtures("decord")
def test_where_decord_cannot_be_relied_on(tmp_path: Path, make_clip: Maker) -> None:
    whole = make_clip(tmp_path / "whole.mp4", 40, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:-4000])
    text = tmp_path / "text.mp4"
    text.write_text("no clip at all\n" * 100)
    # A program stream: decord would give other frames than asked for, and say nothing.
    stream = make_clip(tmp_path / "stream.mpg", 40, codec="mpeg2video", container="mpeg")
    for path in (cut, text, stream, tmp_path / "none.mp4"):
        with pytest.raises(DataError) as error:
            read(path, some, "decord")
        assert path.name in error.value.message
    assert read(stream, some).frame_count == 40
    with pytest.raises(DataError) as error:
        read(stream, some, "decord")
    assert "--decoder pyav" in error.value.hint


@pytest.mark.usefixtures("decord")
def test_a_wrong_count_is_refused(tmp_path: Path, make_clip: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    import decord as package

    clip = make_clip(tmp_path / "clip.mp4", 30)
    asked: list[object] = []

    class Miscounting:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __len__(self) -> int:
            return 31

        def get_batch(self, numbers: object) -> None:
            asked.append(numbers)

    monkeypatch.setattr(package, "VideoReader", Miscounting)
    with pytest.raises(DataError, match=r"decord counts 31 frames .* its packets give 30"):
        read(clip, some, "decord")
    assert asked == []  # it could wait for ever


@pytest.mark.usefixtures("decord")
def test_the_reader_does_not_outlive_the_call(
    tmp_path: Path, make_clip: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import decord as package

    gone: list[bool] = []

    class Watched(package.VideoReader):  # type: ignore[misc]
        def __del__(self) -> None:
            gone.append(True)
            super().__del__()

    monkeypatch.setattr(package, "VideoReader", Watched)
    reading = read(make_clip(tmp_path / "clip.mp4", 30), some, "decord")
    assert gone == [True]  # else it would go on decoding in the background
    assert reading.frames[29].image.any()


@pytest.mark.usefixtures("decord")
def test_images_need_no_decoder(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), image)
    (tmp_path / "image.png").rename(tmp_path / "image.mp4")
    assert np.array_equal(read(tmp_path / "image.mp4", lambda _: [0], "decord").frames[0].image, image[:, :, ::-1])


def test_names_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoder_names() == ("decord", "pyav")
    check_decoder("pyav")
    with pytest.raises(UsageError, match="unknown decoder 'opencv'"):
        check_decoder("opencv")
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(SetupError, match="decord is not usable") as error:
        check_decoder("decord")
    assert "[decord]" in error.value.hint


def test_open_clips(shared_folder: Path) -> None:
    pytest.importorskip("decord")
    clip = shared_folder / "videos_open" / "asl_again.mkv"
    ours, theirs = read(clip, some), read(clip, some, "decord")
    assert all(np.array_equal(theirs.frames[i].image, f.image) for i, f in ours.frames.items())
    with pytest.raises(DataError, match="is not reliable"):
        read(shared_folder / "videos_open" / "grid_bbaf2n.mpg", some, "decord")
