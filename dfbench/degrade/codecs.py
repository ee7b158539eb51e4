"""Video compression: a clip is encoded and decoded once, in memory and frame by frame, with PyAV."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import cv2
import numpy as np

from dfbench.degrade.base import Degradation, Image, Parameter, Stage, Values
from dfbench.errors import DataError, SetupError
from dfbench.media.encode import X264_PARAMS, frame_rate

_SMALLEST = 64
"""Side in pixels below which images are padded, because not every encoder accepts them."""


@dataclass(frozen=True)
class Codec:
    """An encoder with its settings and its decoder, by FFmpeg's names.

    Attributes:
        encoder: the encoder.
        decoder: the decoder.
        settings: options of the encoder in addition to the CRF. One thread makes the result independent of the machine.
    """

    encoder: str
    decoder: str
    settings: tuple[tuple[str, str], ...]

    def missing(self, stage: Stage = "clip") -> str | None:
        """Return what this machine's FFmpeg lacks for it, or ``None``; only the stage ``clip`` needs FFmpeg."""
        import av

        if stage != "clip":
            return None
        try:
            av.Codec(self.encoder, "w")
        except av.codec.codec.UnknownCodecError:
            return f"PyAV's FFmpeg has no encoder {self.encoder}"
        try:
            av.Codec(self.decoder, "r")
        except av.codec.codec.UnknownCodecError:
            return f"PyAV's FFmpeg has no decoder {self.decoder}"
        return None


X264 = Codec("libx264", "h264", (("preset", "medium"), ("x264-params", X264_PARAMS)))
X265 = Codec("libx265", "hevc", (("preset", "medium"), ("x265-params", "pools=none:frame-threads=1:log-level=none")))
SVT_AV1 = Codec("libsvtav1", "libdav1d", (("preset", "8"), ("svtav1-params", "lp=1")))


def transcode(frames: Iterable[Image], codec: Codec, crf: int, fps: float) -> Iterator[Image]:
    """Encode and decode a clip; frames are yielded in their order as soon as the decoder returns them.

    Colours are converted to 4:2:0 in BT.601 limited range, FFmpeg's default for an untagged stream. Images with odd
    sides or sides below 64 pixels are padded by replicating the border, and the padding is removed.

    Args:
        frames: uint8 (height, width, 3), RGB, all of one size.
        codec: the codec.
        crf: its constant rate factor.
        fps: frames per second.

    Raises:
        SetupError: the encoder or decoder is not available.
        DataError: the frames differ in size, or the codec does not support them or loses one.
    """
    import av

    lacking = codec.missing()
    if lacking:
        raise SetupError(lacking, "install PyAV from its wheel (pip install av), or skip the condition")
    sent, given = 0, 0
    stream: _Stream | None = None
    try:
        for image in frames:
            stream = stream or _Stream(codec, image.shape, crf, frame_rate(fps))
            for decoded in stream.put(image, sent):
                yield decoded
                given += 1
            sent += 1
        for decoded in stream.finish() if stream else ():
            yield decoded
            given += 1
    except av.FFmpegError as error:
        raise DataError(
            f"{codec.encoder} cannot encode this clip: {error}", "check its frame size, or skip the condition for it"
        ) from error
    if given != sent:
        raise DataError(f"{codec.encoder} returned {given} of {sent} frames", "skip the condition for this clip")


class _Stream:
    """One encoder connected to one decoder."""

    def __init__(self, codec: Codec, shape: tuple[int, ...], crf: int, rate: Fraction) -> None:
        import av

        # SVT-AV1 writes to stderr unless this is set before its first use.
        os.environ.setdefault("SVT_LOG", "1")
        self.shape, self.rate = shape, rate
        self.height, self.width = (max(_SMALLEST, side + side % 2) for side in shape[:2])
        encoder: Any = av.CodecContext.create(codec.encoder, "w")
        encoder.width, encoder.height, encoder.pix_fmt = self.width, self.height, "yuv420p"
        encoder.framerate, encoder.time_base, encoder.thread_count = rate, 1 / rate, 1
        encoder.options = {**dict(codec.settings), "crf": str(crf)}
        decoder: Any = av.CodecContext.create(codec.decoder, "r")
        decoder.thread_count = 1
        self.encoder, self.decoder = encoder, decoder

    def put(self, image: Image, number: int) -> Iterator[Image]:
        """Send a frame and yield the frames that are ready."""
        import av

        if image.shape != self.shape:
            raise DataError(
                f"frame {number} has shape {image.shape}, the first one {self.shape}", "frames must have one size"
            )
        bottom, right = self.height - self.shape[0], self.width - self.shape[1]
        padded = np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        frame = av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, 1 / self.rate
        yield from self._through(self.encoder.encode(frame))

    def finish(self) -> Iterator[Image]:
        """Yield the frames that encoder and decoder still hold."""
        yield from self._through(self.encoder.encode(None))
        yield from map(self._image, self.decoder.decode(None))

    def _through(self, packets: Iterable[Any]) -> Iterator[Image]:
        for packet in packets:
            yield from map(self._image, self.decoder.decode(packet))

    def _image(self, frame: Any) -> Image:
        padded = frame.to_ndarray(format="rgb24")[: self.shape[0], : self.shape[1]]
        return np.ascontiguousarray(padded, np.uint8)


def _on_clip(codec: Codec) -> Callable[[Iterable[Image], Values, float], Iterator[Image]]:
    def encode_and_decode(frames: Iterable[Image], values: Values, fps: float) -> Iterator[Image]:
        return transcode(frames, codec, int(values["crf"]), fps)

    return encode_and_decode


def _crf(default: int, largest: int) -> Parameter:
    return Parameter("crf", "constant rate factor; higher is worse", default, 1, largest, whole=True)


_video = partial(
    Degradation,
    group="video",
    stages=("clip",),
    note="Acts on the whole clip; crops are then cut with the stored geometry, so the face does not move. A still "
    "image is a clip of one frame, which tests intra coding only.",
)
H264 = _video(
    name="h264",
    summary="H.264, encoded and decoded once",
    parameters=(_crf(23, 51),),
    levels=(30, 32, 35, 38, 40),
    rule="the levels of DeeperForensics-1.0's video compression; FaceForensics++ uses 23 and 40",
    source="x264, preset medium, one thread; DeeperForensics-1.0, perturbation/add_distortion_to_video.py",
    on_clip=_on_clip(X264),
    missing=X264.missing,
)
H265 = _video(
    name="h265",
    summary="H.265 (HEVC), encoded and decoded once",
    parameters=(_crf(28, 51),),
    levels=(28, 30, 33, 36, 38),
    rule="about the mean PSNR of h264 at the same severity on mini clips (tools/degradations.py)",
    source="x265, preset medium, one thread",
    on_clip=_on_clip(X265),
    missing=X265.missing,
)
AV1 = _video(
    name="av1",
    summary="AV1, encoded and decoded once",
    parameters=(_crf(35, 63),),
    levels=(49, 54, 59, 61, 63),
    rule="about the mean PSNR of h264 at the same severity on mini clips (tools/degradations.py)",
    source="SVT-AV1, preset 8, one thread; decoded by dav1d",
    on_clip=_on_clip(SVT_AV1),
    missing=SVT_AV1.missing,
)
