from __future__ import annotations

import numpy as np
import pytest

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.shape import Expression, Pose, expressed, face_box, five_points, project, rotation
from dfbench.mini.warp import warp_map

UPRIGHT = Pose(0, 0, 0, 160, 110, 100)


def shape(**face: float) -> np.ndarray:
    model = load_face_model()
    return expressed(model, model.mean_shape.copy(), Expression(smile=0.0, **face))


def test_mean_face_is_symmetric_and_one_wide() -> None:
    points = load_face_model().mean_shape
    assert np.linalg.norm(points[mesh.RIGHT_SIDE] - points[mesh.LEFT_SIDE]) == pytest.approx(1, abs=0.01)
    assert points[468, 0] == pytest.approx(-points[473, 0], abs=0.01)
    assert points[152, 1] > points[1, 1] > points[468, 1]  # chin below nose below eyes


def test_jaw_opens_the_mouth_and_leaves_the_eyes() -> None:
    closed, opened = shape(jaw=0.0), shape(jaw=1.0)
    assert opened[14, 1] - opened[13, 1] > closed[14, 1] - closed[13, 1] + 0.08
    assert opened[152, 1] > closed[152, 1] + 0.05
    lids = [i for eye in mesh.EYES for i in (*eye[2], *eye[3])]
    assert np.abs(opened[lids] - closed[lids]).max() < 0.01


def test_blink_closes_the_lids() -> None:
    for _, _, lid, low, _ in mesh.EYES:
        before, after = shape(), shape(blink=1.0)
        gap = lambda p, lid=lid, low=low: np.abs(p[list(low), 1] - p[list(lid), 1]).mean()  # noqa: E731
        assert gap(after) < 0.12 * gap(before)


def test_rotation_is_a_rotation() -> None:
    matrix = rotation(9, -5, 3)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_roll_turns_the_eyes() -> None:
    model = load_face_model()
    points = five_points(project(model.mean_shape, Pose(0, 0, 10, 160, 110, 100)).xy)
    across = points[1] - points[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(10, abs=0.5)


def test_points_and_box_scale_with_the_face() -> None:
    model = load_face_model()
    small, large = (project(model.mean_shape, Pose(0, 0, 0, 0, 0, w)).xy for w in (50, 100))
    assert large == pytest.approx(2 * small, abs=1e-3)
    box = face_box(large)
    assert 85 < box[2] - box[0] < 115
    assert (five_points(large) > box[:2]).all()
    assert (five_points(large) < box[2:]).all()


def test_warp_to_itself_is_the_identity() -> None:
    model = load_face_model()
    placed = project(model.mean_shape, UPRIGHT)
    look = warp_map(placed.xy, placed.depth, placed.xy, model.triangles, 320, 240)
    rows, columns = np.nonzero(look.inside)
    assert len(rows) > 8000
    assert np.abs(look.x[rows, columns] - (columns + look.left)).max() < 1.5
    inner = np.median(np.abs(look.y[rows, columns] - (rows + look.top)))
    assert inner < 1e-3


def test_warp_shows_a_shifted_image() -> None:
    model = load_face_model()
    placed = project(model.mean_shape, UPRIGHT)
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    shifted = placed.xy + np.float32([5, -3])
    look = warp_map(shifted, placed.depth, placed.xy, model.triangles, 320, 240)
    seen = look.sample(image)
    expected = np.roll(image, (-3, 5), axis=(0, 1))[look.window]
    wrong = np.abs(seen - expected)[look.inside].max(axis=-1)
    assert np.mean(wrong > 2) < 0.02


def test_a_head_that_leaves_the_image_is_no_error() -> None:
    model = load_face_model()
    placed = project(model.mean_shape, Pose(5, 0, 0, -500, 900, 100))
    look = warp_map(placed.xy, placed.depth, model.frame, model.triangles, 320, 240)
    assert not look.inside.any()
