"""Exact frames: whatever the codec, container and damage, a frame that is returned is the one that was asked for."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfbench.errors import DataError, UsageError
from dfbench.media.frames import Reading
from dfbench.media.reader import decoder_names, read

Make = Callable[..., Path]
DecodeAll = Callable[[Path], list[np.ndarray]]
NumberOf = Callable[[np.ndarray], int]

KINDS = {
    "b-frames.mp4": {"options": {"g": "20", "bf": "3", "x264-params": "b-pyramid=normal"}},
    "open-gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=15:scenecut=0:bframes=3"}},
    "no-b-frames.mp4": {"options": {"bf": "0", "g": "12"}},
    "intra.mp4": {"options": {"g": "1"}},
    "odd.mp4": {"size": (193, 113), "pix_fmt": "yuv444p"},
    "interlaced.mp4": {"options": {"x264-params": "interlaced=1", "bf": "2"}},
    "audio.mp4": {"with_audio": True},
    "variable.mp4": {"times": [0, *np.cumsum([20, 70, 40, 33] * 15)[:59].tolist()], "options": {"g": "16"}},
    "plain.mkv": {"options": {"g": "16"}},
    "plain.ts": {"options": {"g": "16"}},
    "plain.flv": {"options": {"g": "16"}},
    "no-times.avi": {"options": {"g": "16", "bf": "2"}},
    "bare.h264": {"container": "h264", "options": {"g": "16"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "mpeg1.mpg": {"codec": "mpeg1video"},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20"}},
    "hevc-10-bit.mp4": {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": {"x265-params": "log-level=none"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "10", "crf": "10", "g": "20"}},
    "av1-10-bit.mkv": {"codec": "libsvtav1", "pix_fmt": "yuv420p10le", "options": {"preset": "10", "crf": "10"}},
    "hidden-frames-vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}},
    "hidden-frames-vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1", "g": "20"},
    },
    "motion-jpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "animation.gif": {"codec": "gif", "pix_fmt": "rgb8"},
}
SEEKING = {"b-frames.mp4", "open-gop.mp4", "no-b-frames.mp4", "plain.mkv", "hidden-frames-vp9.webm", "variable.mp4"}


def every(step: int, start: int = 0) -> Callable[[int], range]:
    return lambda count: range(start, count, step)


def assert_exact(reading: Reading, reference: list[np.ndarray], number_of: NumberOf | None = None) -> None:
    """Every returned frame equals the reference's frame of that number bit by bit, and carries that number."""
    assert not reading.errors
    for index, frame in reading.frames.items():
        assert frame.index == index
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (reading.height, reading.width, 3)
        assert np.array_equal(frame.image, reference[index]), f"frame {index} is wrong"
        if number_of is not None:
            assert number_of(frame.image) == index


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_exact(
    tmp_path: Path, kind: str, make_clip: Make, decode_all: DecodeAll, number_of: NumberOf
) -> None:
    try:
        path = make_clip(tmp_path / kind, 60, **KINDS[kind])
    except av.codec.codec.UnknownCodecError as error:
        pytest.skip(f"this build of PyAV cannot encode it: {error}")
    reference = decode_all(path)
    assert len(reference) == 60
    for choose in (every(7), every(1), lambda n: [n - 1, 0, n - 1], lambda n: [n // 2], every(13, start=5)):
        reading = read(path, choose)
        assert reading.frame_count == 60
        assert sorted(reading.frames) == sorted(set(choose(60)))
        assert_exact(reading, reference, number_of)
        if kind in SEEKING:
            assert reading.mode == "index"


def test_any_subset_is_exact(tmp_path: Path, make_clip: Make, decode_all: DecodeAll, number_of: NumberOf) -> None:
    path = make_clip(tmp_path / "a.mp4", 90, options={"g": "17", "bf": "3"})
    reference = decode_all(path)
    rng = np.random.default_rng(3)
    for _ in range(25):
        subset = rng.choice(90, size=rng.integers(1, 8), replace=False).tolist()
        assert_exact(read(path, lambda n, subset=subset: subset), reference, number_of)


def test_times_and_rate(tmp_path: Path, make_clip: Make) -> None:
    constant = read(make_clip(tmp_path / "a.mp4", 30), every(10))
    assert constant.fps == 25
    assert [constant.frames[i].time_s for i in (0, 10, 20)] == [0.0, 0.4, 0.8]
    times = [0, 20, 90, 130, 160, 400]
    variable = read(make_clip(tmp_path / "b.mp4", 6, times=times), every(1))
    assert [variable.frames[i].time_s for i in range(6)] == pytest.approx([t / 1000 for t in times], abs=1e-9)
    assert all(f.time_s is None for f in read(make_clip(tmp_path / "c.avi", 20), every(3)).frames.values())


@pytest.mark.parametrize("count", [1, 2])
def test_shortest_clips(tmp_path: Path, count: int, make_clip: Make, decode_all: DecodeAll) -> None:
    path = make_clip(tmp_path / "a.mp4", count)
    reading = read(path, every(1))
    assert reading.frame_count == len(reading.frames) == count
    assert_exact(reading, decode_all(path))


def test_nothing_wanted(tmp_path: Path, make_clip: Make) -> None:
    reading = read(make_clip(tmp_path / "a.mp4", 5), lambda n: [])
    assert (reading.frame_count, reading.width, reading.height, reading.frames) == (5, 192, 112, {})


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_is_applied(tmp_path: Path, turns: int, make_clip: Make, number_of: NumberOf) -> None:
    path = make_clip(tmp_path / "a.mp4", 12)
    plain = read(path, every(5))
    # The track header's matrix [a b; c d] carries (x, y) to (a x + c y, b x + d y), y pointing down.
    a, b, c, d = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[turns]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    one = 1 << 16
    data[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    turned = read(path, every(5))
    assert (turned.width, turned.height) == ((192, 112) if turns == 2 else (112, 192))
    for index, frame in turned.frames.items():
        clockwise = np.rot90(plain.frames[index].image, -turns)
        assert np.array_equal(frame.image, clockwise)
        assert number_of(np.rot90(frame.image, turns)) == index


def test_edit_list_drops_what_it_cuts(
    tmp_path: Path, make_clip: Make, decode_all: DecodeAll, number_of: NumberOf
) -> None:
    path = make_clip(tmp_path / "a.mp4", 50, options={"g": "12", "bf": "2"})
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 8
    entries, duration, start = struct.unpack(">Iii", data[at : at + 12])
    assert entries == 1
    with av.open(str(path)) as container:
        ticks = round(1 / 25 / container.streams.video[0].time_base)
    data[at + 8 : at + 12] = struct.pack(">i", start + 7 * ticks)
    data[at + 4 : at + 8] = struct.pack(">i", duration * 43 // 50)
    path.write_bytes(data)
    reference = decode_all(path)
    assert [number_of(image) for image in reference] == list(range(7, 50))
    reading = read(path, every(4))
    assert reading.frame_count == 43
    assert_exact(reading, reference)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.97, 0.999])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mpg"])
def test_truncated_clips_give_what_decodes(
    tmp_path: Path, name: str, share: float, make_clip: Make, decode_all: DecodeAll
) -> None:
    codec = {"codec": "mpeg1video"} if name == "a.mpg" else {"options": {"g": "20"}}
    extra = {"container_options": {"movflags": "faststart"}} if name == "a.mp4" else {}
    path = make_clip(tmp_path / name, 100, **codec, **extra)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    reference = decode_all(path)
    asked: list[int] = []

    def choose(count: int) -> list[int]:
        asked.append(count)
        return np.linspace(0, count - 1, 16).round().astype(int).tolist()

    reading = read(path, choose)
    assert 0 < reading.frame_count == len(reference) <= 100
    assert asked[-1] == reading.frame_count
    assert set(reading.frames) | set(reading.errors) == set(choose(reading.frame_count))
    last = reading.frame_count - 1
    assert set(reading.errors) <= {last}  # cut in the middle, which the decoder conceals
    assert_exact(replace(reading, errors={}), reference)


def test_streams_that_appear_while_packets_are_read(tmp_path: Path, make_clip: Make, number_of: NumberOf) -> None:
    """FFmpeg takes damaged numbers of programs, or a sound track that begins late, for new streams."""
    path = make_clip(tmp_path / "a.ts", 60, options={"g": "20", "bf": "0"})
    whole = path.read_bytes()
    starts = [n for n in range(0, len(whole), 188) if whole[n + 1 : n + 3] == b"\x41\x00"]  # of a frame each
    assert len(starts) == 60
    data = bytearray(whole)
    lost = list(range(30, 50, 2))
    for number in lost:
        data[starts[number] + 1 : starts[number] + 3] = bytes([0x43, number])
    path.write_bytes(data)
    reading = read(path, every(1))
    numbers = [number_of(frame.image) for frame in reading.frames.values()]
    assert set(range(30)) <= set(numbers)
    assert not set(numbers) & set(lost)
    assert set(read(path, lambda n: [0, 7]).frames) == {0, 7}


@pytest.mark.slow
def test_a_damaged_clip_keeps_its_frame_numbers(tmp_path: Path, make_clip: Make) -> None:
    path = make_clip(tmp_path / "a.mp4", 150, options={"g": "30"}, container_options={"movflags": "faststart"})
    whole = path.read_bytes()
    damaged_somewhere = False
    for seed in range(8):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        for start in rng.integers(len(data) // 3, len(data) - 50, 3):
            data[start : start + 40] = rng.bytes(40)
        path.write_bytes(data)
        reference = by_time(path)
        reading = read(path, every(1))
        # One row a frame: each that is there is what plain decoding gives for its time, each other has a reason.
        assert set(reading.frames) | set(reading.errors) == set(range(reading.frame_count))
        assert not set(reading.frames) & set(reading.errors)
        assert set(reading.frames) <= set(reference)
        for index, frame in reading.frames.items():
            assert frame.time_s == pytest.approx(index / 25)
            assert np.array_equal(frame.image, reference[index])
        # Plain decoding also returns what it conceals, and what is decoded from that.
        assert all("damaged" in reading.errors[index] for index in set(reference) - set(reading.frames))
        damaged_somewhere |= bool(reading.errors)
        few = read(path, every(11))
        for index, frame in few.frames.items():
            assert np.array_equal(frame.image, reading.frames[index].image)
        assert set(few.errors) <= set(reading.errors)
    assert damaged_somewhere


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_damage_that_the_decoder_conceals_is_an_error(tmp_path: Path, make_clip: Make, name: str) -> None:
    """Compared with the intact clip: what is returned shows no damage, but for the little that no decoder notices."""
    faststart = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = make_clip(tmp_path / name, 60, size=(160, 96), options={"g": "20"}, container_options=faststart)
    whole = path.read_bytes()
    intact = read(path, every(1))
    assert not intact.errors
    assert len(intact.frames) == 60
    shown = concealed = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        start = int(rng.integers(len(data) // 4, len(data) - 400))
        for at in rng.integers(start, start + 300, 20):
            data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        garbage = {i for i, image in by_time(path).items() if psnr(image, intact.frames[i].image) < 35}
        reading = read(path, every(1))
        assert len(reading.frames) > 15  # intact groups lose no frame
        shown += len(garbage & set(reading.frames))
        concealed += len(garbage & set(reading.errors))
    assert concealed > 40  # which counted as decoded before
    assert shown <= 0.1 * concealed


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mpeg4"), ("a.avi", "mpeg4"), ("a.ts", "mpeg2video"), ("a.ts", "libx264")]
)
def test_frames_that_any_decoder_flags_are_errors(tmp_path: Path, make_clip: Make, name: str, codec: str) -> None:
    faststart = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = make_clip(
        tmp_path / name, 60, size=(160, 96), codec=codec, options={"g": "20", "bf": "0"}, container_options=faststart
    )
    whole = path.read_bytes()
    flagged = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        data = bytearray(whole)
        start = int(rng.integers(len(data) // 4, len(data) - 400))
        for at in rng.integers(start, start + 300, 20):
            data[at] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        concealed = flagged_images(path)
        reading = read(path, every(1))
        flagged += len(concealed)
        assert not concealed & {frame.image.tobytes() for frame in reading.frames.values()}
        assert len(reading.frames) > 15
        assert len(reading.errors) >= len(concealed)
    assert flagged >= 3


def flagged_images(path: Path) -> set[bytes]:
    """The images that plain decoding flags as damaged."""
    found = set()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        packets = container.demux(stream)
        while True:
            try:
                frames = next(packets).decode()
            except (StopIteration, IndexError):  # see dfbench.media.container.packets_of
                return found
            except av.FFmpegError:
                continue
            found |= {frame.to_ndarray(format="rgb24").tobytes() for frame in frames if frame.is_corrupt}


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    error = float(np.mean((image.astype(float) - reference.astype(float)) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def by_time(path: Path) -> dict[int, np.ndarray]:
    """Frame number by time at 25 frames per second -> image, by plain decoding."""
    found = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    if frame.time is not None:  # of a damaged packet
                        found[round(float(frame.time) * 25)] = frame.to_ndarray(format="rgb24")
            except av.FFmpegError:
                continue
    return found


def test_a_name_decides_nothing(tmp_path: Path, make_clip: Make, decode_all: DecodeAll) -> None:
    clip = make_clip(tmp_path / "a.mp4", 10)
    reference = decode_all(clip)
    for name in ("clip.jpg", "clip.txt", "clip", "concat:a|b.mp4", "a clip with spaces.%03d.png"):
        shutil.copy(clip, tmp_path / name)
        assert_exact(read(tmp_path / name, every(3)), reference)
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for kind in (".png", ".webp", ".jpg", ".bmp"):
        path = tmp_path / f"image{kind}.mp4"
        path.write_bytes(cv2.imencode(kind, image)[1].tobytes())
        reading = read(path, lambda n: range(n))
        assert (reading.mode, reading.frame_count, reading.width, reading.height) == ("image", 1, 60, 40)
        assert reading.fps is None
        assert reading.frames[0].time_s is None
        if kind in (".png", ".bmp"):
            assert np.array_equal(reading.frames[0].image, image[:, :, ::-1])


def audio_only(path: Path) -> None:
    from fractions import Fraction

    with av.open(str(path), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=16000)
        for start in range(0, 8000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"this is a text, not a clip\n" * 50, "does not open as a clip"),
        ("ansi.txt", b"FFmpeg can draw texts as video\n" * 50, "does not open as a clip"),
        ("playlist.mp4", b"#EXTM3U\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n", "does not open as a clip"),
        ("subtitles.mp4", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "does not open as a clip"),
        ("noise.mp4", np.random.default_rng(0).bytes(20000), "does not open|no video|no frame"),
        ("cut.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", "cut.jpg"),
        ("header.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "header.mp4"),
    ],
)
def test_what_is_no_clip_is_a_data_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / name, every(1))
    assert error.value.hint


def test_moov_at_the_end_of_a_truncated_clip(tmp_path: Path, make_clip: Make) -> None:
    path = make_clip(tmp_path / "a.mp4", 50)
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(DataError, match="does not open as a clip"):
        read(path, every(1))


def test_audio_only_folder_and_missing_file(tmp_path: Path) -> None:
    audio_only(tmp_path / "sound.mp4")
    with pytest.raises(DataError, match="no video stream, only audio"):
        read(tmp_path / "sound.mp4", every(1))
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path, every(1))
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "nowhere.mp4", every(1))
    with pytest.raises(DataError, match="cannot be read"):
        read(Path("a\0b"), every(1))


def test_random_damage_never_raises_anything_else(tmp_path: Path, make_clip: Make) -> None:
    clips = [
        make_clip(tmp_path / "a.mp4", 20, size=(160, 32), container_options={"movflags": "faststart"}),
        make_clip(tmp_path / "b.mkv", 20, size=(160, 32)),
        make_clip(tmp_path / "c.avi", 20, size=(160, 32), codec="mpeg4"),
    ]
    rng = np.random.default_rng(7)
    opened = 0
    for clip in clips:
        whole = clip.read_bytes()
        for _ in range(40):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), rng.integers(1, 30)):
                data[at] = rng.integers(0, 256)
            clip.write_bytes(data)
            try:
                reading = read(clip, every(3))
            except DataError:
                continue
            opened += 1
            assert set(reading.frames) | set(reading.errors) == set(range(0, reading.frame_count, 3))
    assert opened > 20


def test_bad_requests_are_usage_errors(tmp_path: Path, make_clip: Make) -> None:
    path = make_clip(tmp_path / "a.mp4", 4)
    for numbers in ([4], [-1], [0, 99]):
        with pytest.raises(UsageError, match="has 4 frames"):
            read(path, lambda n, numbers=numbers: numbers)
    with pytest.raises(UsageError, match="unknown decoder 'pyva'") as error:
        read(path, every(1), decoder="pyva")
    assert "'pyav'" in error.value.hint
    assert decoder_names() == ("decord", "pyav")


def test_open_clips_have_the_frames_their_description_says(shared_folder: Path, decode_all: DecodeAll) -> None:
    counts = dict.fromkeys(sorted((shared_folder / "videos_open").glob("grid_*.mpg")), 75)
    counts[shared_folder / "videos_open" / "asl_again.mkv"] = 77
    assert len(counts) == 12
    for path, count in counts.items():
        reading = read(path, every(9))
        assert reading.frame_count == count
        assert_exact(reading, decode_all(path))
