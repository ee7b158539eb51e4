"""Faces are found where they are, the same whatever else is looked at, and none where there is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.faces.base import Face, FaceDetector, largest_first
from dfbench.faces.centerface import input_size, suppress
from dfbench.faces.detectors import build_face_detector, face_detector_names
from dfbench.media.reader import read

# Eyes, nose and mouth corners marked by hand (pupils, tip of the nose), good to about two pixels.
ASTRONAUT = [(204, 102), (246, 104), (222, 129), (203, 141), (244, 143)]
HOPPER = [(219, 194), (306, 187), (265, 238), (232, 277), (306, 275)]


def same(a: list[Face], b: list[Face]) -> bool:
    return len(a) == len(b) and all(
        x.score == y.score and np.array_equal(x.box, y.box) and np.array_equal(x.landmarks, y.landmarks)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize(("portrait", "marks"), [("astronaut", ASTRONAUT), ("hopper", HOPPER)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.5])
def test_landmarks_lie_where_a_person_puts_them(
    request: pytest.FixtureRequest, detector: FaceDetector, portrait: str, marks: list, scale: float
) -> None:
    image = request.getfixturevalue(portrait)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    faces = detector.detect([image])[0]
    assert len(faces) == 1
    face = faces[0]
    points = (np.array(marks) + 0.5) * scale - 0.5
    error = np.linalg.norm(face.landmarks - points, axis=1).mean() / np.linalg.norm(points[1] - points[0])
    assert error < 0.07
    x1, y1, x2, y2 = face.box
    assert (face.landmarks > (x1, y1)).all()
    assert (face.landmarks < (x2, y2)).all()
    assert 0.5 < face.score <= 1
    assert (face.box.dtype, face.box.shape) == (np.float32, (4,))
    assert (face.landmarks.dtype, face.landmarks.shape) == (np.float32, (5, 2))


def test_no_face_where_there_is_none(detector: FaceDetector, faceless: list[np.ndarray]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for image in [*faceless, noise, np.zeros((240, 320, 3), np.uint8), np.full((1, 1, 3), 200, np.uint8)]:
        assert detector.detect([image]) == [[]]
    assert detector.detect([]) == []


def test_a_mirrored_face_has_mirrored_landmarks(
    detector: FaceDetector, astronaut: np.ndarray, hopper: np.ndarray
) -> None:
    for image in (astronaut, hopper):
        face = detector.detect([image])[0][0]
        mirrored = detector.detect([image[:, ::-1]])[0][0]
        back = mirrored.landmarks[[1, 0, 2, 4, 3]] * (-1, 1) + (image.shape[1] - 1, 0)
        eyes = np.linalg.norm(face.landmarks[1] - face.landmarks[0])
        assert np.linalg.norm(back - face.landmarks, axis=1).max() < 0.05 * eyes
        # No sideways bias: what a mirror turns round must average out.
        assert abs((back - face.landmarks)[:, 0].mean()) < 0.02 * eyes


def test_a_frame_does_not_depend_on_its_batch(detector: FaceDetector, astronaut: np.ndarray) -> None:
    frames = [np.ascontiguousarray(np.roll(astronaut, shift, axis=1)) for shift in (0, 17, -30, 60)]
    alone = [detector.detect([frame])[0] for frame in frames]
    together = detector.detect(frames)
    backwards = detector.detect(frames[::-1])[::-1]
    twin = build_face_detector().detect(frames)
    for batch in (together, backwards, twin):
        assert all(same(a, b) for a, b in zip(alone, batch, strict=True))


def test_several_faces_come_largest_first(detector: FaceDetector, astronaut: np.ndarray, hopper: np.ndarray) -> None:
    image = np.zeros((520, 1000, 3), np.uint8)
    image[:512, :512] = astronaut
    image[:520, 512:] = hopper[:520, :488]
    faces = detector.detect([image])[0]
    assert len(faces) == 2
    assert faces[0].box[0] > 512 > faces[1].box[2]
    areas = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in faces]
    assert areas == sorted(areas, reverse=True)


def test_equal_boxes_have_a_fixed_order() -> None:
    points = np.zeros((5, 2), np.float32)
    faces = [Face(np.array([x, y, x + 10, y + 10], np.float32), 0.9, points) for x, y in [(5, 1), (0, 9), (0, 2)]]
    assert [f.box[:2].tolist() for f in largest_first(faces)] == [[0, 2], [0, 9], [5, 1]]
    assert [f.box[:2].tolist() for f in largest_first(faces[::-1])] == [[0, 2], [0, 9], [5, 1]]


def test_faces_at_the_border(detector: FaceDetector, astronaut: np.ndarray) -> None:
    for cut in (astronaut[80:], astronaut[:, 200:], astronaut[:150], astronaut[:, :250]):
        for face in detector.detect([np.ascontiguousarray(cut)])[0]:
            assert np.isfinite(face.landmarks).all()
            assert (face.box[:2] >= 0).all()
            assert (face.box[2:] <= np.array(cut.shape[1::-1]) + 1e-3).all()


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_small_frames_are_looked_at_in_their_own_size(width: int, height: int) -> None:
    net_width, net_height = input_size(width, height)
    assert net_width % 32 == 0
    assert net_height % 32 == 0
    assert max(net_width, net_height) <= 640
    scale = min(1, 640 / max(width, height))
    assert -1e-6 <= net_width - width * scale < 32
    assert -1e-6 <= net_height - height * scale < 32


def test_suppression_keeps_the_best_of_each_heap() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [0, 0, 10, 10.0]])
    assert suppress(boxes, np.array([0.6, 0.9, 0.7, 0.9]), 0.3).tolist() == [1, 2]
    assert suppress(boxes[:0], np.zeros(0), 0.3).tolist() == []


def test_bad_frames_are_data_errors(detector: FaceDetector) -> None:
    good = np.zeros((48, 64, 3), np.uint8)
    for frames in ([good, good[:40]], [good[:, :, 0]], [good.astype(float)], [good[:0]]):
        with pytest.raises(DataError):
            detector.detect(frames)


def test_names_and_fingerprint(detector: FaceDetector) -> None:
    assert face_detector_names() == ("centerface", "centerface-full", "dlib", "dlib-gray", "insightface")
    assert detector.name == "centerface"
    assert "09189deaaf8646c5" in detector.fingerprint
    assert "d80f19b44f72e45d" in detector.fingerprint
    assert detector.fingerprint == build_face_detector("centerface", threads=2).fingerprint
    with pytest.raises(UsageError, match="unknown face detector 'centreface'") as error:
        build_face_detector("centreface")
    assert "did you mean 'centerface'" in error.value.hint
    with pytest.raises(UsageError):
        build_face_detector(threads=0)


def test_every_open_clip_shows_its_face(detector: FaceDetector, shared_folder: Path) -> None:
    clips = sorted((shared_folder / "videos_open").glob("grid_*.mpg"))
    assert len(clips) == 11
    for clip in [*clips, shared_folder / "videos_open" / "asl_again.mkv"]:
        reading = read(clip, lambda n: [0, n // 3, n // 2, n - 1])
        found = detector.detect([frame.image for frame in reading.frames.values()])
        assert all(len(faces) == 1 for faces in found), clip.name
        widths = [faces[0].box[2] - faces[0].box[0] for faces in found]
        assert 55 < min(widths) <= max(widths) < 160
