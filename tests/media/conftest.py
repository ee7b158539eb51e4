"""Clips made for the tests: every frame carries its number as a pattern of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS = 10
BLOCK = 16


def stamped(number: int, width: int, height: int) -> np.ndarray:
    """A frame with texture that moves, and its number in black and white blocks along the top."""
    y, x = np.mgrid[0:height, 0:width]
    texture = 128 + 60 * np.sin((x + 5 * number) / 9) * np.cos((y + 2 * number) / 13)
    image = np.repeat(texture[:, :, None], 3, axis=2).astype(np.uint8)
    for bit in range(BITS):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: np.ndarray) -> int:
    """The number stamped on an (upright) frame."""
    blocks = [image[4 : BLOCK - 4, bit * BLOCK + 4 : (bit + 1) * BLOCK - 4].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, mean in enumerate(blocks) if mean > 127)


def make_clip(
    path: Path,
    count: int,
    *,
    size: tuple[int, int] = (192, 112),
    codec: str = "libx264",
    container: str | None = None,
    pix_fmt: str = "yuv420p",
    times: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    with_audio: bool = False,
) -> Path:
    """Encode ``count`` stamped frames at 25 frames per second (time base 1/1000 where ``times`` are given)."""
    width, height = size
    base = Fraction(1, 25) if times is None else Fraction(1, 1000)
    stamps = list(times) if times is not None else list(range(count))
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream: Any = out.add_stream(codec, rate=25, options={"threads": "1", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = base
        sound: Any = out.add_stream("aac", rate=16000) if with_audio else None
        for number, time in zip(range(count), stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(stamped(number, width, height), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = time, base
            out.mux(stream.encode(frame))
        if sound is not None:
            write_silence(out, sound, seconds=count / 25)
        out.mux(stream.encode(None))
    return path


def write_silence(out: Any, sound: Any, seconds: float) -> None:
    for start in range(0, round(16000 * seconds), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def decode_all(path: Path) -> list[np.ndarray]:
    """Return every frame by plain decoding from the start, skipping packets that do not decode: the reference."""
    frames: list[np.ndarray] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.FFmpegError):
                break
            try:
                frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
            except av.FFmpegError:
                continue
    return frames


@pytest.fixture(name="make_clip")
def _make_clip() -> Callable[..., Path]:
    return make_clip


@pytest.fixture(name="number_of")
def _number_of() -> Callable[[np.ndarray], int]:
    return number_of


@pytest.fixture(name="decode_all")
def _decode_all() -> Callable[[Path], list[np.ndarray]]:
    return decode_all
