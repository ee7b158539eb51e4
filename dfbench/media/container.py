"""Open a clip with PyAV and list its packets: the frame index, without decoding anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from dfbench.errors import DataError
from dfbench.media import limits
from dfbench.media.frames import Frame, StreamFacts
from dfbench.media.limits import beat, check_pixels, is_machine_fault, lacks_memory
from dfbench.media.orientation import frame_orientation
from dfbench.untrusted import open_regular

# Playlists, subtitles and FFmpeg's "text as video" demuxers are not clips, and playlists would open other
# files: only containers that hold the frames themselves are accepted.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,av1,obu,ivf,flv,ogg,asf,gif,apng,mjpeg,"
    "mxf,nut,dv,yuv4mpegpipe,rm,wtv"
)

# Codecs of which every packet is exactly one shown frame. VP8 hides frames and MPEG-4 part 2 has empty ones,
# so that counting their packets would miscount frames.
_ONE_FRAME_PER_PACKET = frozenset(
    {"h264", "hevc", "av1", "vp9", "mpeg1video", "mpeg2video", "mjpeg", "prores", "ffv1", "dnxhd"}
)

# Containers that store when a frame is shown. AVI and bare streams store no times or the order of decoding alone:
# their packets' times are guessed by FFmpeg, and wrong for clips with B-frames.
_HAVE_TIMES = frozenset({"mov", "matroska", "mpegts", "flv"})

_INCOMPLETE = "check that it is a complete video file"

_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}


@dataclass(frozen=True)
class Clip:
    """An open clip: the container, its video stream, the decoder's context (one thread) and a colour converter."""

    container: Any
    stream: Any
    codec: Any
    converter: Any = field(default_factory=VideoReformatter)

    def frame(self, number: int, decoded: Any) -> Frame:
        """Convert a decoded frame to upright RGB by FFmpeg's default conversion, as OpenCV and decord do."""
        # One converter for all frames: each sets up tables that depend on the size and format alone.
        image = self.converter.reformat(decoded, format="rgb24", threads=1).to_ndarray()
        upright = frame_orientation(decoded).apply(image)
        # Frames that a decoder gives at the end of its packets lack a time base.
        base = self.stream.time_base
        time_s = None if decoded.pts is None else decoded.pts * base.numerator / base.denominator
        return Frame(number, time_s, upright)

    def facts(self) -> StreamFacts:
        """Return what the container states; to be called before packets are read."""
        rate, aspect = self.stream.average_rate, self.stream.sample_aspect_ratio
        return StreamFacts(
            str(self.container.format.name).split(",")[0],
            str(self.codec.name),
            float(rate) if rate else None,
            float(aspect) if aspect else 1.0,
        )


@dataclass(frozen=True, eq=False)
class PacketIndex:
    """The frames of a clip according to its packets.

    Attributes:
        pts: sorted presentation times of the shown frames, in time base units (int64); frame ``i`` is ``pts[i]``.
        keys: sorted presentation times of the keyframes (int64).
        packets: number of video packets that were read.
        trusted: whether positions in ``pts`` are frame numbers: the container stores times, every packet has its own
            time and is one shown frame, and the clip begins with a keyframe.
        whole: whether no packet is damaged and none that the container announces is missing.
        closed: whether no frame is shown before a keyframe that it is decoded after (no open groups).
    """

    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    packets: int
    trusted: bool
    whole: bool
    closed: bool


@contextmanager
def open_clip(path: Path) -> Iterator[Clip]:
    """Open a file's main video stream with a single-threaded decoder.

    Raises:
        DataError: the file is not a clip, has no video stream, or one with more than
            :data:`~dfbench.media.limits.MOST_PIXELS` pixels.
        MemoryError: memory ran out.
    """
    with open_container(path) as container:
        # A cover image in an audio file is a video stream to FFmpeg.
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            kinds = ", ".join(sorted({str(s.type) for s in container.streams})) or "nothing"
            raise DataError(f"{path} has no video stream, only {kinds}", "pass a video file")
        best = container.streams.best("video")
        stream = best if best in streams else streams[0]
        codec = stream.codec_context
        if codec is None:
            raise DataError(f"{path} has a video stream in an unknown codec", "convert it to H.264 first")
        try:
            check_pixels(codec.width, codec.height)
        except DataError as error:
            raise DataError(f"{path}: {error.message}", error.hint) from error
        prepare_decoder(codec)
        yield Clip(container, stream, codec)


@contextmanager
def open_container(path: Path) -> Iterator[Any]:
    """Open a file as FFmpeg sees it, whose streams may be frames of a clip or items of an image.

    Raises:
        DataError: it does not open.
        MemoryError: memory ran out.
    """
    with contextlib.ExitStack() as stack:
        container: Any = None
        try:
            # Without its name: FFmpeg interprets "%03d" and "concat:a|b" in names.
            file = stack.enter_context(open_regular(path))
            container = stack.enter_context(av.open(file, options=_OPTIONS, metadata_errors="replace"))
        except (av.FFmpegError, OSError, ValueError) as error:
            if lacks_memory(error):
                raise MemoryError(reason(error)) from error
            if not is_machine_fault(error):
                raise DataError(f"{path} does not open as a clip: {reason(error)}", _INCOMPLETE) from error
        if container is None:  # see lacks_memory
            raise DataError(f"{path} does not open as a clip: its header asks for too much memory", _INCOMPLETE)
        yield container


def prepare_decoder(codec: Any) -> None:
    """Limit a decoder to one thread and to frames of :data:`~dfbench.media.limits.MOST_PIXELS` pixels."""
    codec.options = {"max_pixels": str(limits.MOST_PIXELS)}  # the frame size of a stream may change
    # With threads, the concealment of damage would depend on their number; workers use the cores anyway.
    codec.thread_count = 1
    codec.thread_type = "NONE"


def packets_of(container: Any, *streams: Any) -> Iterator[Any]:
    """Yield the packets of some streams of a container, and at the end an empty one of each.

    FFmpeg finds streams of MPEG-TS and MPEG-PS files that begin late, or damaged packets that look like one, while
    packets are read. PyAV does not know them, and raises IndexError for them at the end of the packets.

    Raises:
        av.FFmpegError: the packets cannot be read.
    """
    packets = container.demux(list(streams))
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):
            return
        yield packet


def gives_one_frame_per_packet(clip: Clip) -> bool:
    """Whether every packet of the clip's codec is exactly one shown frame."""
    names = (clip.codec.name, clip.codec.codec.canonical_name)
    return any(name in _ONE_FRAME_PER_PACKET for name in names)


def index_packets(path: Path) -> PacketIndex:
    """Read all packets of the video stream without decoding them (about 0.1 ms per packet).

    Raises:
        DataError: the file does not open as a clip.
    """
    pts: list[int] = []
    keys: list[int] = []
    packets = 0
    regular = True
    damaged = False
    closed = True
    first_is_key: bool | None = None
    with open_clip(path) as clip:
        try:
            for packet in packets_of(clip.container, clip.stream):
                beat()
                if packet.size == 0:  # the flush packet at the end
                    continue
                packets += 1
                damaged |= packet.is_corrupt
                if first_is_key is None:
                    first_is_key = packet.is_keyframe
                if packet.pts is None:
                    regular = False
                elif packet.is_keyframe:
                    keys.append(packet.pts)
                elif keys and packet.pts < keys[-1]:
                    closed = False
                # Packets outside an edit list are needed for decoding but never shown; an incomplete packet at the end
                # of a truncated file is not shown either.
                if packet.pts is not None and not packet.is_discard and not packet.is_corrupt:
                    pts.append(packet.pts)
        except av.FFmpegError:
            damaged = True
        claimed = clip.stream.frames
        has_times = clip.container.format.name.split(",")[0] in _HAVE_TIMES
        one_frame_per_packet = gives_one_frame_per_packet(clip)
    shown = np.array(sorted(pts), np.int64)
    starts = np.array(sorted(keys), np.int64)
    trusted = (
        regular
        and has_times
        and one_frame_per_packet
        and bool(first_is_key)
        and len(shown) > 0
        and len(np.unique(shown)) == len(shown)
        and bool(starts[0] <= shown[0])
    )
    whole = not damaged and claimed in (0, packets)
    return PacketIndex(shown, starts, packets, trusted, whole, closed)


def reason(error: BaseException) -> str:
    """Return the short text of an FFmpeg or system error, without file name and error number."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip() or type(error).__name__
