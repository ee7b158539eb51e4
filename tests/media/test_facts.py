"""Size, hash, format, codec and JPEG quality of media files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dfbench.errors import DataError
from dfbench.media.encode import write_clip
from dfbench.media.facts import file_facts, jpeg_quality, sequence_facts
from dfbench.media.images import encode_png
from dfbench.preparation.extraction.scene_reader import SceneReader
from dfbench.schema.media import REAL, Media

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def jpeg(quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def test_every_quality_of_two_encoders_is_found() -> None:
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.fromarray(IMAGE).save(stream, "jpeg", quality=quality)
        assert jpeg_quality(jpeg(quality)) == jpeg_quality(stream.getvalue()) == quality


def test_a_damaged_or_foreign_file_has_no_quality() -> None:
    whole = jpeg(80)
    table = whole.index(b"\xff\xdb")
    assert jpeg_quality(encode_png(IMAGE)) is None
    assert jpeg_quality(whole[:table]) is None
    assert jpeg_quality(whole[: table + 30]) is None
    assert jpeg_quality(whole[: table + 4] + b"\x10" + whole[table + 5 : table + 80]) is None  # 16 bits claimed
    assert jpeg_quality(b"\xff\xd8\xff\xff\xff") is None
    assert jpeg_quality(b"") is None


def test_a_clip_and_an_image(tmp_path: Path) -> None:
    clip = tmp_path / "clip.bin"
    write_clip(tmp_path / "clip.mp4", [IMAGE] * 4, 25, 23)
    (tmp_path / "clip.mp4").rename(clip)
    facts = file_facts(clip)
    assert (facts.format, facts.codec, facts.fps, facts.pixel_aspect) == ("mov", "h264", 25.0, 1.0)
    assert (facts.size, facts.sha256) == (clip.stat().st_size, hashlib.sha256(clip.read_bytes()).hexdigest())
    assert facts.jpeg_quality is None
    closed = file_facts(clip, opens=False)
    assert (closed.sha256, closed.codec) == (facts.sha256, None)
    (tmp_path / "image.png").write_bytes(jpeg(70))
    image = file_facts(tmp_path / "image.png")
    assert (image.format, image.codec, image.fps, image.jpeg_quality) == ("jpeg", None, None, 70)


def test_what_is_no_clip_keeps_its_hash(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    assert file_facts(tmp_path / "noise.mp4").codec is None
    assert file_facts(tmp_path / "noise.mp4").size == 500
    with pytest.raises(DataError, match="cannot be read"):
        file_facts(tmp_path / "nothing.mp4")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="not a regular file"):
        file_facts(tmp_path / "folder")


def test_a_sequence_is_identified_by_names_and_images() -> None:
    one, two = jpeg(30), encode_png(IMAGE)
    facts = sequence_facts([("0.jpg", one), ("1.png", two)])
    assert facts is not None
    assert (facts.size, facts.format, facts.jpeg_quality) == (len(one) + len(two), "jpeg", 30)
    lines = "".join(f"{hashlib.sha256(d).hexdigest()} {n}\n" for n, d in (("0.jpg", one), ("1.png", two)))
    assert facts.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    for other in ([("0.jpg", two), ("1.png", one)], [("0.jpg", one), ("2.png", two)]):
        found = sequence_facts(other)
        assert found is not None
        assert found.sha256 != facts.sha256
    assert sequence_facts([]) is None


@pytest.mark.parametrize(
    ("name", "codec", "mode"),
    [("clip.mp4", "libx264", "index"), ("clip.mkv", "libx264", "index"), ("clip.avi", "mpeg4", "sequential")],
)
def test_a_clip_that_was_read_is_not_opened_again(
    tmp_path: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, codec: str, mode: str
) -> None:
    clip = make_clip(tmp_path / name, 4, codec=codec)
    expected = file_facts(clip)
    media = Media("set", "sub", "real", "one", REAL, "test", "scene", name)
    reader = SceneReader([], tmp_path, "pyav")
    reading = reader.read(media, lambda count: [count - 1], list)
    monkeypatch.setattr("dfbench.media.facts.open_clip", None)
    assert reader.facts(media, [3]) == expected
    assert (reading.mode, reading.fps) == (mode, expected.fps)
    assert expected.codec is not None
