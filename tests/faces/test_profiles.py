"""Where the profiles put a face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.faces.base import Face
from dfbench.faces.profiles import get_profile, profile_names

# Targets of five textbook points at 256 and 224 pixels, as DeepfakeBench's own code gives them.
AT_256 = [(96.870, 120.433), (158.825, 120.090), (128.044, 155.669), (102.592, 191.939), (153.899, 191.656)]
AT_224 = [(84.761, 105.379), (138.972, 105.079), (112.039, 136.210), (89.768, 167.947), (134.661, 167.699)]
SHAPE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])


def face(box: tuple[float, float, float, float] = (0, 0, 1, 1), landmarks: np.ndarray | None = None) -> Face:
    points = SHAPE if landmarks is None else landmarks
    return Face(np.array(box, np.float32), 0.9, np.asarray(points, np.float32))


@pytest.mark.parametrize(("size", "targets"), [(256, AT_256), (224, AT_224)])
def test_native_puts_landmarks_on_their_targets(size: int, targets: list[tuple[float, float]]) -> None:
    angle, scale = 0.3, 2.5
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    landmarks = SHAPE @ turn + (400, 120)
    matrix = get_profile("native").matrix(face(landmarks=landmarks), size, 1280, 720)
    placed = landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(placed - targets).max() < 2e-3


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_sizes_differ_by_their_ratio_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, 2)
    box = (*corner, *(corner + rng.uniform(10, 250, 2)))
    some = face(box, SHAPE * rng.uniform(0.3, 4) + rng.normal(0, 3, (5, 2)) + rng.uniform(0, 500, 2))
    for name in ("native", "box", "dfb256~"):
        small, large = (get_profile(name).matrix(some, size, 640, 480) for size in (128, 224))
        assert np.allclose(large * (128 / 224), small, rtol=1e-12)


@given(
    st.tuples(st.floats(-20, 600), st.floats(-20, 440), st.floats(1, 300), st.floats(1, 300)),
    st.integers(8, 512),
)
@settings(max_examples=80, deadline=None)
def test_box_is_an_upright_square_moved_inside(parts: tuple[float, float, float, float], size: int) -> None:
    x, y, box_width, box_height = (float(np.float32(v)) for v in parts)
    width, height = 640, 480
    matrix = get_profile("box").matrix(face((x, y, x + box_width, y + box_height)), size, width, height)
    zoom = matrix[0, 0]
    assert zoom > 0
    assert np.array_equal(matrix[:, :2], zoom * np.eye(2))
    left, top = -matrix[:, 2] / zoom
    side = size / zoom
    assert side == pytest.approx(1.3 * max(box_width, box_height), rel=1e-4)
    assert -1e-6 <= left <= width - side + 1e-6
    assert -1e-6 <= top <= height - side + 1e-6
    centre = np.array([x + box_width / 2, y + box_height / 2])
    if 0 < left < width - side - 1e-3:
        assert left + side / 2 == pytest.approx(centre[0], abs=1e-2)
    if 0 < top < height - side - 1e-3:
        assert top + side / 2 == pytest.approx(centre[1], abs=1e-2)


def test_a_box_larger_than_the_image_is_centred_and_keeps_its_scale() -> None:
    matrix = get_profile("box").matrix(face((20, 10, 120, 230)), 286, 160, 240)
    assert matrix[0, 0] == pytest.approx(286 / (1.3 * 220))
    side = 1.3 * 220
    left, top = -matrix[:, 2] / matrix[0, 0]
    assert left == pytest.approx((160 - side) / 2)
    assert top == pytest.approx((240 - side) / 2)


def test_bad_geometry_is_a_data_error() -> None:
    with pytest.raises(DataError):
        get_profile("native").matrix(face(landmarks=np.ones((5, 2))), 128, 640, 480)
    for box in ((10, 10, 10, 10), (30, 30, 10, 10), (0, 0, float("nan"), 10)):
        with pytest.raises(DataError):
            get_profile("box").matrix(face(box), 128, 640, 480)
    for name in profile_names():
        with pytest.raises(UsageError):
            get_profile(name).matrix(face(), 0, 640, 480)


def test_names() -> None:
    assert set(profile_names()) >= {"box", "native", "dfb256", "dfb256~", "ffpp13", "ffpp13~"}
    for name in profile_names():
        assert get_profile(name).name == name
    with pytest.raises(UsageError, match="unknown crop profile 'nativ'") as error:
        get_profile("nativ")
    assert "did you mean 'native'" in error.value.hint
