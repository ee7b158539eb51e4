"""The default look at a clip loses no face and depends on its clip alone; devices are what they are said to be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from dfbench.errors import SetupError, UsageError
from dfbench.faces.base import Face, FaceDetector
from dfbench.faces.bundled_weights import ONET, load
from dfbench.faces.centerface import smaller_long_side
from dfbench.faces.centerface_onet import CenterFaceDetector
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
def full() -> FaceDetector:
    return build_face_detector("centerface-full")


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
    # Full looks at frames 0, 8 and 16, small ones at all others.
    assert differ == 17
    assert bits(quick)[0::8] == bits(every)[0::8]


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
