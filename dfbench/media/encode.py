"""Encode RGB frames to an H.264 mp4 file, in process and deterministically (PyAV, libx264)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import DataError, UsageError
from dfbench.io import atomic_path, check_output_file

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")

LARGEST_CRF = 51

X264_PARAMS = "threads=1:lookahead-threads=1:sliced-threads=0:no-mbtree=1"
"""Settings that make x264 deterministic on every machine.

With separate lookahead threads the result would depend on the number of cores, and x264's macroblock tree occasionally
gives different files for the same frames.
"""


def write_clip(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float | Fraction,
    crf: int | None,
    *,
    preset: str = "medium",
    keyframe_interval: int = 250,
) -> None:
    """Encode RGB frames as H.264 (yuv420p) in an mp4 file.

    One encoder thread and fixed settings: the same frames and the same FFmpeg build give the same bytes.
    Frame ``i`` is shown at exactly ``i / fps``. Colours are converted to BT.601 limited range, which FFmpeg assumes
    for an untagged stream, so reading restores the colours up to 4:2:0 subsampling. The file gets its name only when
    it is complete.

    Args:
        path: file to write; its folder is created if necessary. The container is mp4 whatever the extension.
        frames: uint8 arrays (height, width, 3) of equal, even height and width, at least one.
        fps: frames per second; a :class:`~fractions.Fraction` is kept exactly, a float is rounded to the
            nearest fraction with a denominator of at most 1001.
        crf: x264's constant rate factor, 1 (best) to 51; 0 or ``None`` is lossless in yuv420p (only
            chroma subsampling loses information).
        preset: x264's preset.
        keyframe_interval: largest number of frames between two keyframes.

    Raises:
        UsageError: a setting is out of range, the frames have an odd side (yuv420p needs even ones), or ``path`` is a
            folder or below a file.
        DataError: there is no frame, or a frame does not fit the first.
        SetupError: the file cannot be written.
    """
    write_clips({Path(path): crf}, frames, fps, preset=preset, keyframe_interval=keyframe_interval)


def write_clips(
    files: Mapping[Path, int | None],
    frames: Iterable[NDArray[np.uint8]],
    fps: float | Fraction,
    *,
    preset: str = "medium",
    keyframe_interval: int = 250,
) -> None:
    """Encode the same frames to several files, each with its constant rate factor; see :func:`write_clip`.

    Each frame is converted to YUV once. Every file has the bytes that :func:`write_clip` would give it; all get their
    names when all are complete.

    Args:
        files: file -> its constant rate factor, as in :func:`write_clip`.
        frames: as in :func:`write_clip`.
        fps: as in :func:`write_clip`.
        preset: x264's preset, of every file.
        keyframe_interval: largest number of frames between two keyframes, of every file.

    Raises:
        UsageError: as for :func:`write_clip`.
        DataError: as for :func:`write_clip`.
        SetupError: as for :func:`write_clip`.
    """
    for path in files:
        check_output_file(path)
    rate = frame_rate(fps)
    options = [_options(crf, preset, keyframe_interval) for crf in files.values()]
    names = ", ".join(str(path) for path in files)
    import av

    with ExitStack() as stack:
        temporary = [stack.enter_context(atomic_path(path, sync=False)) for path in files]
        try:
            count = _encode(temporary, frames, rate, options)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise DataError(f"{names} cannot be encoded: {error}", "check the frames and the settings") from error
        if count == 0:
            raise DataError(f"no frames to write to {names}", "pass at least one frame")


def _encode(
    paths: list[Path], frames: Iterable[NDArray[np.uint8]], rate: Fraction, options: list[dict[str, str]]
) -> int:
    """Encode all frames to every path, with the options of each, and return their number."""
    import av
    from av.video.reformatter import VideoReformatter

    count = 0
    shape: tuple[int, ...] = ()
    # One converter for all frames: a frame's own reformat() would set up another for each.
    converter: Any = VideoReformatter()
    with ExitStack() as stack:
        # bitexact omits the library's version string and the time of day from the file.
        containers: list[Any] = [
            stack.enter_context(av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}))
            for path in paths
        ]
        streams: list[Any] = []
        for image in frames:
            if not streams:
                shape = _checked_shape(image)
                streams = [_stream(*pair, rate, shape) for pair in zip(containers, options, strict=True)]
            elif not isinstance(image, np.ndarray) or image.shape != shape or image.dtype != np.uint8:
                raise DataError(
                    f"frame {count} is {_describe(image)}, the first was uint8 {shape}",
                    "all frames of a clip must have the same size and type",
                )
            rgb = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
            frame = converter.reformat(rgb, format="yuv420p", threads=1)
            for container, stream in zip(containers, streams, strict=True):
                frame.pts = count
                frame.time_base = 1 / rate
                container.mux(stream.encode(frame))
            count += 1
        for container, stream in zip(containers, streams, strict=False):  # no stream without a frame
            container.mux(stream.encode(None))
    return count


def _stream(container: Any, options: dict[str, str], rate: Fraction, shape: tuple[int, ...]) -> Any:
    """Add a video stream of frames of a shape (height, width, 3) to a container."""
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.thread_count = 1
    stream.codec_context.time_base = 1 / rate
    return stream


def frame_rate(fps: float | Fraction) -> Fraction:
    """Return a frame rate as an exact fraction; a float is rounded to a denominator of at most 1001.

    Raises:
        UsageError: it is not above 0 and at most 1000.
    """
    if not isinstance(fps, Fraction) and not math.isfinite(fps):
        raise UsageError(f"fps must be a positive number, not {fps}", "for example 25 or Fraction(30000, 1001)")
    rate = fps if isinstance(fps, Fraction) else Fraction(fps).limit_denominator(1001)
    if not 0 < rate <= 1000:
        raise UsageError(f"fps must be above 0 and at most 1000, not {fps}", "for example 25 or Fraction(30000, 1001)")
    return rate


def _options(crf: int | None, preset: str, keyframe_interval: int) -> dict[str, str]:
    if crf is not None and not 0 <= crf <= LARGEST_CRF:
        raise UsageError(f"crf must be between 0 and {LARGEST_CRF}, not {crf}", "23 is x264's default, 0 is lossless")
    if preset not in PRESETS:
        raise UsageError(f"unknown x264 preset {preset!r}", f"one of {', '.join(PRESETS)}")
    if keyframe_interval < 1:
        raise UsageError(f"keyframe_interval must be at least 1, not {keyframe_interval}", "250 is x264's default")
    return {
        "crf": str(crf or 0),
        "preset": preset,
        "g": str(keyframe_interval),
        "x264-params": X264_PARAMS,
    }


def _checked_shape(image: NDArray[np.uint8]) -> tuple[int, int, int]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DataError(
            f"a frame must be a uint8 array (height, width, 3), not {_describe(image)}", "convert it to RGB uint8 first"
        )
    height, width = image.shape[:2]
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise UsageError(
            f"frames of {width}x{height} cannot be written: yuv420p needs an even width and height",
            "pad or crop the frames by one pixel first",
        )
    return height, width, 3


def _describe(image: object) -> str:
    return f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
