"""Limits on pixels and memory: known from headers, the same on every machine."""

from __future__ import annotations

import errno
import io
import struct
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfbench.errors import DataError
from dfbench.media import limits, pyav_decoder
from dfbench.media.encode import write_clip
from dfbench.media.frames import Frame, FrameCollector
from dfbench.media.image_header import image_size
from dfbench.media.images import decode_image, encode_png, image_format
from dfbench.media.limits import beat, is_machine_fault, listening
from dfbench.media.reader import read
from dfbench.media.stream import stream_frames

PIL_Image = pytest.importorskip("PIL.Image")

Make = Callable[..., Path]


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    PIL_Image.fromarray(np.full((21, 34, 3), 90, np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + b"\xff\xc0" * 40}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0II*\0"}),
        ("BMP", {}),
        ("TIFF", {}),
        ("JPEG2000", {}),
    ],
)
def test_headers_state_the_size(kind: str, options: dict[str, object]) -> None:
    data = encoded(kind, **options)
    known = image_format(data[:16])
    assert known is not None
    assert image_size(known, data) == (34, 21)
    assert image_size(known, data[:14]) is None


def test_fill_bytes_and_noise_before_a_marker_of_a_jpeg() -> None:
    data = encoded("JPEG")
    assert image_size("jpeg", data[:2] + b"\0\7\xff\xff\xff" + data[3:]) == (34, 21)
    assert image_size("jpeg", data[:2] + b"\xff\xda" + data[2:]) is None


def huge_png(side: int = 32_000) -> bytes:
    """A megabyte that inflates to three gigabytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_huge_image_is_refused_by_its_header() -> None:
    with pytest.raises(DataError, match="32000x32000 pixels, more than the limit of 64 million"):
        decode_image(huge_png())
    with pytest.raises(DataError, match="states no size"):
        decode_image(b"\x89PNG\r\n\x1a\n" + bytes(4))


def test_a_png_whose_chunk_claims_more_than_the_file_is_refused_before_it_is_decoded() -> None:
    """OpenCV makes room for what a chunk claims: two gigabytes here."""
    good = encode_png(np.zeros((8, 8, 3), np.uint8))
    assert image_size("png", good) == (8, 8)
    assert image_size("png", good + b"rubbish") == (8, 8)
    place = good.index(b"IDAT") - 4
    claims = good[:place] + struct.pack(">I", 2**31 - 1) + good[place + 4 :]
    for data in (claims, good[:-1], good[:-12], good[:60]):
        assert image_size("png", data) is None
        with pytest.raises(DataError, match="or it is truncated"):
            decode_image(data)


def test_a_huge_clip_is_refused_by_its_header(tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(limits, "MOST_PIXELS", 192 * 112)
    assert read(path, range).frame_count == 3
    monkeypatch.setattr(limits, "MOST_PIXELS", 192 * 112 - 1)
    with pytest.raises(DataError, match=r"a\.mp4: it has 192x112 pixels"):
        read(path, range)


def test_large_frames_are_passed_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def callback(frames: list[Frame]) -> list[int]:
        sizes.append(len(frames))
        return [0] * len(frames)

    def collect() -> list[int]:
        sizes.clear()
        collected = FrameCollector(callback)
        for number in range(20):
            collected.add(Frame(number, None, np.zeros((10, 10, 3), np.uint8)))
        collected.flush()
        return sizes.copy()

    assert collect() == [16, 4]
    monkeypatch.setattr("dfbench.media.frames.BATCH_BYTES", 900)
    assert collect() == [3] * 6 + [2]
    monkeypatch.setattr("dfbench.media.frames.BATCH_BYTES", 1)
    assert collect() == [1] * 20


def test_errors_that_are_the_fault_of_the_machine() -> None:
    cv2_error: Exception
    try:
        cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))
    except cv2.error as error:
        cv2_error = error
    faults = [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("std::bad_alloc")]
    for fault in faults:
        assert is_machine_fault(fault)
        wrapped = DataError("the clip does not open")
        wrapped.__cause__ = fault
        assert is_machine_fault(wrapped)
    for other in (
        cv2_error,
        DataError("out of memory is the name of a film"),
        OSError(errno.ENOENT, "no file", "out of memory.mp4"),
        None,
    ):
        assert not is_machine_fault(other)


def test_an_image_that_does_not_fit_into_memory_is_not_called_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("PNG")
    monkeypatch.setattr("dfbench.media.images.cv2.imdecode", lambda *_: None)
    with pytest.raises(DataError, match="damaged"):
        decode_image(data)

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("dfbench.media.images.np.empty", full)
    with pytest.raises(MemoryError):
        decode_image(data)


def test_a_header_that_asks_for_absurd_memory_is_the_fault_of_the_file(
    tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.mp4", 3)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("dfbench.media.container.av.open", refuse)
    with pytest.raises(DataError, match="asks for too much memory") as caught:
        read(path, range)
    assert not is_machine_fault(caught.value)
    monkeypatch.setattr("dfbench.media.limits.memory_is_left", lambda: False)
    with pytest.raises(MemoryError):
        read(path, range)


def test_a_packet_that_claims_absurd_memory_is_the_fault_of_the_file(
    tmp_path: Path, make_clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "a.avi", 5)  # read from the start to the end
    whole = pyav_decoder._decode

    def refuse(packet: object) -> object:
        if getattr(packet, "dts", None) == 2:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return whole(packet)

    monkeypatch.setattr(pyav_decoder, "_decode", refuse)
    reading = read(path, range)
    assert reading.mode == "sequential"
    assert 0 in reading.frames
    monkeypatch.setattr("dfbench.media.limits.memory_is_left", lambda: False)
    with pytest.raises(MemoryError):
        read(path, range)


def test_every_thread_has_a_listener_of_its_own() -> None:
    """Dask runs several shards in the threads of a process: none may be left with the listener of a finished one."""
    heard: list[str] = []
    first_listens, second_listens, first_ended = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with listening(lambda: heard.append("first")):
            first_listens.set()
            assert second_listens.wait(10)
            beat()
        first_ended.set()

    def second() -> None:
        assert first_listens.wait(10)
        with listening(lambda: heard.append("second")):
            second_listens.set()
            assert first_ended.wait(10)
            beat()
        beat()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result(20)
    beat()
    assert heard == ["first", "second"]


def test_frames_that_are_decoded_ahead_are_heard(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, [np.full((64, 64, 3), n, np.uint8) for n in range(12)], 25, 23)
    beats: list[int] = []
    with listening(lambda: beats.append(1)):
        assert len(list(stream_frames(path))) == 12
    assert len(beats) >= 12
