"""Codecs: frame-exact in count and order, worse with a higher CRF, and errors for what they cannot do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from dfbench.degrade import apply, apply_clip, available, parse, psnr, suite
from dfbench.degrade.codecs import SVT_AV1, X264, X265, transcode
from dfbench.errors import DataError, SetupError, UsageError
from dfbench.media.encode import write_clip
from dfbench.media.reader import read

CODECS = {"h264": (18, 30, 40), "h265": (20, 33, 43), "av1": (30, 50, 63)}
BITS, BLOCK = 8, 16


def stamped(number: int, width: int = 160, height: int = 120) -> np.ndarray:
    """A frame with moving texture and its number in black and white blocks along the top."""
    y, x = np.mgrid[0:height, 0:width]
    texture = 128 + 60 * np.sin((x + 5 * number) / 9) * np.cos((y + 2 * number) / 13)
    image = np.dstack([texture, texture[::-1], 255 - texture]).astype(np.uint8)
    for bit in range(BITS):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: np.ndarray) -> int:
    blocks = [image[4 : BLOCK - 4, b * BLOCK + 4 : (b + 1) * BLOCK - 4].mean() for b in range(BITS)]
    return sum(1 << bit for bit, mean in enumerate(blocks) if mean > 127)


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    reason = available(parse(request.param))
    if reason:
        pytest.skip(reason)
    return str(request.param)


@pytest.mark.parametrize("count", [1, 2, 70])
@pytest.mark.parametrize("size", [(160, 120), (161, 119)])
def test_as_many_frames_in_the_same_order(codec: str, count: int, size: tuple[int, int]) -> None:
    clip = [stamped(i, *size) for i in range(count)]
    crf = CODECS[codec][1]
    result = apply_clip(f"{codec}:crf={crf}", clip, "a/b/c/d", 30000 / 1001)
    assert [number_of(frame) for frame in result] == list(range(count))
    assert {frame.shape for frame in result} == {clip[0].shape}
    assert all(psnr(ours, theirs) > 24 for ours, theirs in zip(result, clip, strict=True))


def test_quality_falls_with_the_crf(codec: str) -> None:
    clip = [stamped(i) for i in range(12)]
    values = [
        psnr(np.stack(apply_clip(f"{codec}:crf={crf}", clip, "a", 25.0)), np.stack(clip)) for crf in CODECS[codec]
    ]
    assert values[0] > values[1] + 1 > values[2] + 2


def test_h264_is_what_a_file_would_hold(tmp_path: Path) -> None:
    clip = [stamped(i) for i in range(20)]
    write_clip(tmp_path / "clip.mp4", clip, 25.0, 35)
    reading = read(tmp_path / "clip.mp4", range)
    ours = apply_clip("h264:crf=35", clip, "a/b/c/d", 25.0)
    assert all((reading.frames[i].image == frame).all() for i, frame in enumerate(ours))


def test_the_same_clip_again_is_the_same(codec: str) -> None:
    clip = [stamped(i) for i in range(10)]
    first, second = (apply_clip(f"{codec}:crf={CODECS[codec][1]}", clip, "a/b/c/d", 25.0) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


def test_a_still_image_is_a_clip_of_one_frame(codec: str) -> None:
    image, spec = stamped(5), f"{codec}:crf={CODECS[codec][1]}"
    assert (apply(spec, image, "a/b/c/d#000000.0") == apply_clip(spec, [image], "a/b/c/d", 25.0)[0]).all()


def test_an_empty_clip_stays_empty() -> None:
    assert apply_clip("h264:crf=30", [], "a/b/c/d", 25.0) == []
    assert apply_clip("social@clip", [], "a/b/c/d", 25.0) == []


def test_steps_around_a_codec() -> None:
    clip = [stamped(i) for i in range(4)]
    chain = apply_clip("mean:k=5+h264:crf=35", clip, "a/b/c/d", 25.0)
    by_hand = apply_clip("h264:crf=35", [apply("ME5", f, "x") for f in clip], "a/b/c/d", 25.0)
    assert all((one == other).all() for one, other in zip(chain, by_hand, strict=True))


def test_social_clips_shrink_and_keep_their_size() -> None:
    clip = [stamped(i, 1000, 300) for i in range(3)]
    result = apply_clip("social:platform=facebook-low@clip", clip, "a/b/c/d", 25.0)
    assert [number_of(frame) for frame in result] == [0, 1, 2]
    assert {frame.shape for frame in result} == {(300, 1000, 3)}


def test_frames_of_another_size_are_refused(codec: str) -> None:
    with pytest.raises(DataError, match="frame 1 has shape"):
        apply_clip(f"{codec}:crf=30", [stamped(0), stamped(1, 100, 100)], "a/b/c/d", 25.0)


@pytest.mark.parametrize("fps", [0, -25, float("nan"), 1e6])
def test_a_clip_needs_a_frame_rate(fps: float) -> None:
    with pytest.raises(UsageError, match="fps"):
        apply_clip("h264:crf=30", [stamped(0)], "a/b/c/d", fps)


@pytest.mark.parametrize("known", [X264, X265, SVT_AV1])
def test_a_missing_encoder_is_said_and_raised(known: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(known, encoder="libnothing")  # type: ignore[type-var]
    assert lacking.missing() == "PyAV's FFmpeg has no encoder libnothing"
    assert lacking.missing("crop") is None
    assert "no decoder dec" in str(replace(X264, decoder="dec").missing())
    with pytest.raises(SetupError, match="libnothing"):
        list(transcode([stamped(0)], lacking, 30, 25.0))


def test_available_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlyDecoders:
        def __init__(self, name: str, mode: str = "r") -> None:
            if mode == "w":
                raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", OnlyDecoders)
    out = {c.name: available(c) for c in suite()}
    left = {name for name, reason in out.items() if reason}
    assert left == {name for name in out if name.endswith("@clip")}
    assert out["h265:crf=33@clip"] == "PyAV's FFmpeg has no encoder libx265"
    assert available(parse("social@clip"))
    assert available(parse("social")) is None


def test_a_codec_that_refuses_the_size_is_said() -> None:
    with pytest.raises(DataError, match="libx264 cannot encode this clip"):
        apply("h264:crf=30", np.zeros((2, 17000, 3), np.uint8), "a")
