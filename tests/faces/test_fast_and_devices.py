"""The default look at a clip loses no face and depends on its clip alone; devices are what they are said to be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfbench.errors import SetupError, UsageError
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.bundled_weights import ONET, load
from dfbench.faces.centerface import shrink, smaller_long_side, tiles
from dfbench.faces.centerface_onet import CenterFaceDetector, FullCenterFaceDetector
from dfbench.faces.detectors import build_face_detector
from dfbench.faces.session import CPU, CUDA, session
from dfbench.media.reader import read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fast() -> CenterFaceDetector:
    made = build_face_detector("centerface")
    assert isinstance(made, CenterFaceDetector)
    return made


@pytest.fixture(scope="module")
def full() -> FullCenterFaceDetector:
    made = build_face_detector("centerface-full")
    assert isinstance(made, FullCenterFaceDetector)
    return made


def bits(found: list[list[Face]]) -> list[list[tuple[object, ...]]]:
    return [[(f.box.tobytes(), f.score, f.landmarks.tobytes()) for f in faces] for faces in found]


def drifting(image: np.ndarray, count: int, width: int = 640, height: int = 480) -> list[np.ndarray]:
    frames = []
    for number in range(count):
        frame = np.full((height, width, 3), 120, np.uint8)
        frame[: image.shape[0], 3 * number : 3 * number + image.shape[1]] = image[:height, :width]
        frames.append(frame)
    return frames


def test_a_clip_gives_nearly_what_single_frames_give(
    fast: CenterFaceDetector, full: FaceDetector, hopper: np.ndarray
) -> None:
    frames = drifting(cv2.resize(hopper, (320, 375), interpolation=cv2.INTER_AREA), 20)
    quick, every = fast.detect_clip(frames), full.detect(frames)
    assert [len(faces) for faces in quick] == [1] * 20
    differ = 0
    for (one,), (other,) in zip(quick, every, strict=True):
        eyes = np.linalg.norm(other.landmarks[1] - other.landmarks[0])
        assert np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean() < 0.05 * eyes
        differ += not np.array_equal(one.box, other.box)
    # Full looks at both ends of the blocks 0-15 and 16-19, small ones at all others.
    assert differ == 16
    for full_look in (0, 15, 16, 19):
        assert bits(quick)[full_look] == bits(every)[full_look]


def test_a_clip_depends_on_itself_alone(fast: CenterFaceDetector, hopper: np.ndarray) -> None:
    clip = drifting(cv2.resize(hopper, (256, 300), interpolation=cv2.INTER_AREA), 5)
    first = bits(fast.detect_clip(clip))
    fast.detect_clip(drifting(cv2.resize(hopper, (64, 75), interpolation=cv2.INTER_AREA), 3))
    assert bits(fast.detect_clip(clip)) == first
    assert bits(build_face_detector("centerface").detect_clip(clip)) == first
    assert fast.detect_clip([]) == []


def test_single_frames_are_looked_at_fully(fast: CenterFaceDetector, full: FaceDetector, hopper: np.ndarray) -> None:
    frames = drifting(cv2.resize(hopper, (256, 300), interpolation=cv2.INTER_AREA), 3)
    assert bits(fast.detect(frames)) == bits(full.detect(frames))
    assert bits(fast.detect_clip(frames[2:])) == bits(full.detect(frames[2:]))
    assert fast.fingerprint != full.fingerprint


def test_faces_that_come_and_go_are_seen(fast: CenterFaceDetector, hopper: np.ndarray) -> None:
    large = cv2.resize(hopper, (300, 351), interpolation=cv2.INTER_AREA)
    small = cv2.resize(hopper, (150, 176), interpolation=cv2.INTER_AREA)
    one = np.full((480, 640, 3), 120, np.uint8)
    none = one.copy()
    one[:351, :300] = large
    two = one.copy()
    two[:176, 400:550] = small
    shown = [one, one, two, two, one, none, one]
    assert [len(faces) for faces in fast.detect_clip(shown)] == [1, 1, 2, 2, 1, 0, 1]


@pytest.mark.parametrize(("first", "last"), [(4, 15), (0, 9), (5, 5)])
def test_a_second_face_is_counted_in_every_frame(
    fast: CenterFaceDetector, hopper: np.ndarray, first: int, last: int
) -> None:
    # 75 pixels wide of 1280 beside one of 240; alone it would be too small where the frame is shrunk for the other one.
    large = cv2.resize(hopper, (615, 720), interpolation=cv2.INTER_AREA)
    small = cv2.resize(hopper, (192, 225), interpolation=cv2.INTER_AREA)
    frames, counts = [], []
    for number in range(16):
        frame = np.full((720, 1280, 3), 120, np.uint8)
        frame[:, 3 * number : 3 * number + 615] = large
        shown = first <= number <= last
        if shown:
            frame[300:525, 900 + number : 900 + number + 192] = small
        frames.append(frame)
        counts.append(1 + shown)
    assert [len(faces) for faces in fast.detect_clip(frames)] == counts


def test_a_small_second_face_that_stays_is_counted(fast: CenterFaceDetector, hopper: np.ndarray) -> None:
    large = cv2.resize(hopper, (615, 720), interpolation=cv2.INTER_AREA)
    small = cv2.resize(hopper, (115, 135), interpolation=cv2.INTER_AREA)  # a face of 45 pixels
    frames = [np.full((720, 1280, 3), 120, np.uint8) for _ in range(16)]
    for number, frame in enumerate(frames):
        frame[:, :615] = large
        if number >= 3:
            frame[300:435, 900:1015] = small
    assert [len(faces) for faces in fast.detect_clip(frames)] == [1] * 3 + [2] * 13


def test_every_face_of_every_frame(fast: CenterFaceDetector, hopper: np.ndarray) -> None:
    # 30 pixels wide of 640, in one frame alone: no trace in a frame that is shrunk for the other face.
    frames = drifting(cv2.resize(hopper, (320, 375), interpolation=cv2.INTER_AREA), 5)
    frames[2][50:150, 440:525] = cv2.resize(hopper, (85, 100), interpolation=cv2.INTER_AREA)
    assert [len(faces) for faces in fast.detect_every_face(frames)] == [1, 1, 2, 1, 1]
    quick, every = fast.detect_clip(frames), fast.detect_every_face(frames)
    assert bits([every[n] for n in (0, 1, 3, 4)]) == bits([quick[n] for n in (0, 1, 3, 4)])


def placed(image: np.ndarray, width: int, height: int, face: int, turns: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A canvas with the portrait, whose face is about as many pixels wide; and its eyes, in image-left, right order."""
    scale = face / 200
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    eyes = (np.array([(219, 194), (306, 187)]) + 0.5) * scale - 0.5
    for _ in range(turns):
        eyes = np.stack([eyes[:, 1], small.shape[1] - 1 - eyes[:, 0]], axis=1)
        small = np.ascontiguousarray(np.rot90(small))
    rng = np.random.default_rng(face)
    back = rng.integers(90, 150, (height // 24, width // 24, 3), np.uint8)
    canvas = cv2.resize(back, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = width // 3, height // 3
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    return canvas, eyes + np.array([x, y])


@pytest.mark.parametrize(
    ("width", "height", "face", "turns"),
    [(720, 1280, 30, 0), (1920, 1080, 46, 0), (1280, 720, 160, 1), (1280, 720, 120, 3)],
)
def test_small_faces_in_large_frames_and_faces_on_their_side(
    full: FullCenterFaceDetector, hopper: np.ndarray, width: int, height: int, face: int, turns: int
) -> None:
    frame, eyes = placed(hopper, width, height, face, turns)
    assert full._look(frame, 640)[0] == []
    (found,) = full.detect([frame])
    assert len(found) == 1
    error = np.linalg.norm(found[0].landmarks[:2] - eyes, axis=1).mean() / np.linalg.norm(eyes[1] - eyes[0])
    assert error < 0.15
    x1, y1, x2, y2 = found[0].box
    assert (found[0].landmarks > (x1, y1)).all()
    assert (found[0].landmarks < (x2, y2)).all()


def test_further_searches_cost_nothing_where_the_first_finds_a_face(
    full: FullCenterFaceDetector, hopper: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    look = full._look
    monkeypatch.setattr(full, "_look", lambda frame, side: sizes.append((frame.shape, side)) or look(frame, side))
    full.detect([placed(hopper, 1280, 720, 120)[0]])
    assert sizes == [((720, 1280, 3), 640)]
    sizes.clear()
    full.detect([np.full((720, 1280, 3), 90, np.uint8)])
    assert sizes == [((720, 1280, 3), 640), ((1280, 720, 3), 640), ((1280, 720, 3), 640), ((720, 1280, 3), 1280)]


@given(st.integers(1, 200).map(lambda n: 32 * n))
def test_tiles_cover_a_side_and_overlap(length: int) -> None:
    parts = tiles(length)
    assert parts[0][0] == 0
    assert sum(parts[-1]) == length
    assert all(start % 32 == 0 and size % 32 == 0 and size <= 1024 for start, size in parts)
    assert all(start + size - after >= 128 for (start, size), (after, _) in pairwise(parts))


@given(st.integers(40, 900), st.integers(40, 900), st.integers(1, 4), st.integers(1, 4))
def test_frames_are_halved_before_they_are_resized(width: int, height: int, across: int, down: int) -> None:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, : width // 2] = 200
    resized, (shown_width, shown_height) = shrink(frame, 32 * across, 32 * down)
    assert resized.shape == (32 * down, 32 * across, 3)
    step = 2 ** max(0, int(np.log2(max(width / (32 * across), height / (32 * down)))))
    assert (shown_width, shown_height) == (width // step * step, height // step * step)
    # The edge stays where it is.
    edge = (resized[0, :, 0] > 100).sum() / (32 * across) * shown_width
    assert abs(edge - width // 2) <= shown_width / (32 * across) + step


def test_how_far_frames_are_shrunk() -> None:
    assert smaller_long_side(1280, 720, 40 / 200) == 256
    assert smaller_long_side(1280, 720, 40 / 80) is None  # 640 is the full look already
    assert smaller_long_side(320, 240, 40 / 100) == 128
    assert smaller_long_side(120, 90, 0.1) is None  # never below 128


def test_open_clips_lose_no_face(fast: CenterFaceDetector, full: FaceDetector, shared_folder: Path) -> None:
    worst = []
    for clip in sorted((shared_folder / "videos_open").glob("*.m[pk][gv]"))[::4]:
        reading = read(clip, lambda n: list(range(0, n, 6)))
        frames = [frame.image for frame in reading.frames.values()]
        for one, other in zip(fast.detect_clip(frames), full.detect(frames), strict=True):
            assert len(one) == len(other)
            eyes = np.linalg.norm(other[0].landmarks[1] - other[0].landmarks[0])
            worst.append(np.linalg.norm(one[0].landmarks - other[0].landmarks, axis=1).mean() / eyes)
    assert np.median(worst) < 0.02
    assert max(worst) < 0.05


# Devices


def test_devices_have_names() -> None:
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        build_face_detector(device="gpu")
    cpu, auto = build_face_detector(device="cpu"), build_face_detector(device="auto")
    if CUDA not in onnxruntime.get_available_providers():
        assert cpu.fingerprint == auto.fingerprint
        with pytest.raises(SetupError, match="cannot run on cuda") as error:
            build_face_detector(device="cuda:0")
        assert "onnxruntime-gpu" in error.value.hint


class FakeSession:
    """What ONNX Runtime with CUDA gives: the providers it was asked for, or the CPU alone where CUDA does not start."""

    starts = True

    def __init__(self, model: object, options: object, providers: list[object]) -> None:
        self.asked = providers

    def get_providers(self) -> list[str]:
        names = [p if isinstance(p, str) else p[0] for p in self.asked]  # type: ignore[index]
        return names if self.starts else [CPU]


def test_cuda_is_taken_where_it_is_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from dfbench.faces.session import suffix

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    model = load(ONET)
    made = session(model, device="cuda:1")
    name, settings = made.asked[0]
    assert (name, settings["device_id"], settings["use_tf32"]) == (CUDA, "1", "0")
    assert suffix(made) == ";provider=CUDAExecutionProvider"
    assert suffix(session(model, device="auto")) == ";provider=CUDAExecutionProvider"
    assert suffix(session(model, device="cpu")) == ""
    monkeypatch.setattr(FakeSession, "starts", False)
    with pytest.raises(SetupError, match="CUDA does not start"):
        session(model, device="cuda")
    assert suffix(session(model, device="auto")) == ""
