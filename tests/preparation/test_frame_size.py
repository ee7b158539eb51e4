"""A stream whose frame size changes: one person stays one track, in preparation and in scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from dfbench import prepare
from dfbench.cli.main import cli
from dfbench.faces.base import Face
from dfbench.faces.profiles import get_profile
from dfbench.media.reader import read
from dfbench.preparation.extraction.clip_faces import ExtractionSettings, find_faces
from dfbench.preparation.extraction.face_selection import choose, select_faces
from dfbench.preparation.extraction.face_tracks import build_tracks
from dfbench.schema.media import Media
from dfbench.scoring.results import AggregationRules, file_score

MEDIUM = Media("folder", "all", "real", "a", 0, "test", "a", "a")
Scene = Callable[[int, int, int], np.ndarray]


def one_person(number: int, width: int, height: int) -> np.ndarray:
    """A white square on black at one place of the image."""
    image = np.zeros((height, width, 3), np.uint8)
    x, y, side = round(width * 0.7) + number % 2, round(height * 0.4), round(height * 0.25)
    image[y : y + side, x : x + side] = 255
    return image


def two_people(number: int, width: int, height: int) -> np.ndarray:
    image = one_person(number, width, height)
    side = round(height * 0.18)
    image[:, : width // 3] = np.roll(cv2.flip(image, 1)[:, : width // 3], side // 4, axis=0)
    return image


def stream(
    codec: str, container: str, path: Path, sizes: Sequence[tuple[int, int]], scene: Scene, each: int = 4
) -> Path:
    """Encode frames of several sizes one after the other and join the bytes, which is a valid elementary stream."""
    data = b""
    for part, (width, height) in enumerate(sizes):
        with av.open(str(path), "w", format=container) as out:
            encoder: Any = out.add_stream(codec, rate=25, options={"threads": "1", "bf": "0"})
            encoder.width, encoder.height, encoder.pix_fmt = (
                width,
                height,
                "yuvj420p" if codec == "mjpeg" else "yuv420p",
            )
            for n in range(each):
                frame = av.VideoFrame.from_ndarray(scene(part * each + n, width, height), format="rgb24")
                out.mux(encoder.encode(frame))
            out.mux(encoder.encode(None))
        data += path.read_bytes()
    path.write_bytes(data)
    return path


class Blobs:
    """Finds white blobs."""

    name = fingerprint = "blobs"

    def detect(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [self._faces(frame) for frame in frames]

    detect_clip = detect

    def _faces(self, frame: np.ndarray) -> list[Face]:
        _, _, stats, _ = cv2.connectedComponentsWithStats((frame[:, :, 0] > 128).astype(np.uint8))
        boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:] if area > 50]
        return [
            self._face(np.array(box, np.float32)) for box in sorted(boxes, key=lambda b: (b[0] - b[2]) * (b[3] - b[1]))
        ]

    def _face(self, box: np.ndarray) -> Face:
        places = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
        return Face(box, 0.9, box[:2] + places * (box[2:] - box[:2]))


@pytest.mark.parametrize(
    ("codec", "container", "sizes"),
    [
        ("libx264", "h264", [(160, 96), (320, 192)]),
        ("libx264", "h264", [(320, 240), (160, 120), (480, 360)]),
        ("libx264", "h264", [(320, 176), (176, 320)]),  # a telephone that is turned
        ("mpeg2video", "mpeg2video", [(320, 192), (160, 96)]),  # FFmpeg's decoder loses a frame at the change
    ],
)
def test_one_person_is_one_track(tmp_path: Path, codec: str, container: str, sizes: list[tuple[int, int]]) -> None:
    path = stream(codec, container, tmp_path / "a", sizes, one_person)
    settings = ExtractionSettings((32,), get_profile("native"), Blobs(), "pyav", "track")
    reading = read(path, range, callback=partial(find_faces, settings=settings))
    assert list(dict.fromkeys((f.width, f.height) for f in reading.results.values())) == sizes
    assert len(reading.results) >= 4 * len(sizes) - (codec == "mpeg2video")
    chosen = select_faces(MEDIUM, reading, "track", SimpleNamespace())  # type: ignore[arg-type]
    assert chosen == dict.fromkeys(reading.results, (0,))
    rows = [
        {
            "sample_id": f"a#{n:06d}.0", "frame_index": n, "face_index": 0, "status": "ok", "reason": "",
            "face_count": 1, "width": f.width, "height": f.height, "frame_count": 8, "time_s": None, "face_score": 0.9,
            "box": f.faces[0].box, "landmarks": f.faces[0].landmarks.reshape(-1),
        }
        for n, f in reading.results.items()
    ]  # fmt: skip
    scores = np.full(len(rows), 0.5)
    score = file_score("a", rows, scores, np.zeros((len(rows), 2)), AggregationRules())
    assert len(score.tracks) == 1


def test_two_people_stay_two(tmp_path: Path) -> None:
    path = stream("libx264", "h264", tmp_path / "a", [(320, 192), (160, 96), (320, 192)], two_people)
    settings = ExtractionSettings((32,), get_profile("native"), Blobs(), "pyav", "all")
    reading = read(path, range, callback=partial(find_faces, settings=settings))
    faces = {n: f.faces for n, f in reading.results.items()}
    sizes = {n: (f.width, f.height) for n, f in reading.results.items()}
    assert all(len(found) == 2 for found in faces.values())
    assert len(build_tracks(faces, sizes)) == 2
    assert len(build_tracks(faces)) > 2, "the sizes decide"


def test_areas_are_those_of_the_first_size() -> None:
    near, far = np.array([10, 10, 50, 50], np.float32), np.array([60, 10, 80, 30], np.float32)
    marks = np.zeros((5, 2), np.float32)
    faces = {0: [Face(near, 1.0, marks), Face(far, 1.0, marks)], 7: [Face(far * 4, 1.0, marks)]}
    sizes = {0: (100, 80), 7: (400, 320)}
    assert [(dict(t.members), t.area) for t in build_tracks(faces, sizes)] == [({0: 0}, 1600.0), ({0: 1, 7: 0}, 800.0)]
    assert choose(faces, "track", sizes) == {0: (0,), 7: ()}
    # Where the size does not change, nothing is computed anew.
    assert build_tracks(faces, dict.fromkeys(faces, (640, 480))) == build_tracks(faces)


def test_unusual_media_are_counted(tmp_path: Path) -> None:
    real, fake = tmp_path / "data" / "real", tmp_path / "data" / "fake"
    real.mkdir(parents=True)
    fake.mkdir()
    stream("libx264", "h264", fake / "joined.mp4", [(160, 96), (96, 160)], one_person, 3)
    for name, aspect in (("broadcast.mp4", Fraction(16, 11)), ("narrow.mkv", Fraction(1, 2)), ("square.mp4", None)):
        with av.open(str(real / name), "w") as out:
            encoder: Any = out.add_stream("libx264", rate=25, options={"threads": "1"})
            encoder.width, encoder.height, encoder.pix_fmt = 160, 96, "yuv420p"
            if aspect is not None:
                encoder.codec_context.sample_aspect_ratio = encoder.sample_aspect_ratio = aspect
            for n in range(4):
                out.mux(encoder.encode(av.VideoFrame.from_ndarray(one_person(n, 160, 96), format="rgb24")))
            out.mux(encoder.encode(None))
    manifest = prepare("folder", tmp_path / "data", tmp_path / "m", frames=6, sizes=[32], workers=1, quiet=True)
    rows = manifest.table().to_pandas()
    assert manifest.info.unusual == {"frame_sizes": 1, "pixels_not_square": 2}
    assert set(rows[rows["label"] == 0]["width"]) == {160}, "frames are as stored"
    shown = CliRunner().invoke(cli, ["inspect", str(tmp_path / "m")]).output
    assert "1 media with frames of several sizes: their frames are used as stored" in shown
    assert "2 media with pixels that are not square: their frames are used as stored" in shown
