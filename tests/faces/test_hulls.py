"""Masks from hulls: filled as half-plane tests in float64 say, with the regions that their names promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.faces.hulls import HULLS, face_mask, fill_convex, hull_regions


def inside_by_triangles(points: np.ndarray, height: int, width: int, slack: float) -> np.ndarray:
    """Brute force: a point is in the hull exactly if it is in a triangle of three of the points (Caratheodory)."""
    ys, xs = np.mgrid[:height, :width]
    grid = np.stack([xs, ys], axis=-1).astype(np.float64)
    out = np.zeros((height, width), bool)
    count = len(points)
    for i in range(count):
        for j in range(i + 1, count):
            for k in range(j + 1, count):
                corners = points[[i, j, k]]
                turn = np.linalg.det(np.column_stack([corners[1] - corners[0], corners[2] - corners[0]]))
                if abs(turn) < 1e-12:
                    continue
                sides = [
                    np.sign(turn) * _side(corners[a], corners[b], grid) / np.linalg.norm(corners[b] - corners[a])
                    for a, b in ((0, 1), (1, 2), (2, 0))
                ]
                out |= np.min(sides, axis=0) >= -slack
    return out


def _side(start: np.ndarray, end: np.ndarray, grid: np.ndarray) -> np.ndarray:
    step = end - start
    return step[0] * (grid[..., 1] - start[1]) - step[1] * (grid[..., 0] - start[0])


@given(st.integers(0, 2**32 - 1), st.integers(3, 7), st.booleans())
@settings(max_examples=8)
def test_a_hull_is_filled_as_the_union_of_its_triangles(seed: int, count: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-5, 25, (count, 2)).astype(np.float32).astype(np.float64)
    if whole:
        points = np.rint(points)
    got = fill_convex(points, 18, 23)
    # Pixels whose centre is within a millionth of a pixel of the border may go either way.
    assert not (inside_by_triangles(points, 18, 23, -1e-6) & ~got).any()
    assert not (got & ~inside_by_triangles(points, 18, 23, 1e-6)).any() or _flat(points)


def _flat(points: np.ndarray) -> bool:
    return bool(np.linalg.matrix_rank(points - points[0]) < 2)


def test_borders_belong_to_a_hull() -> None:
    square = np.array([[2, 1], [5, 1], [5, 3], [2, 3]])
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(fill_convex(square, 6, 8), expected)
    assert np.array_equal(fill_convex(np.array([[2.5, 1.0], [2.5, 3.0]]), 6, 8), np.zeros((6, 8), bool))
    line = np.zeros((6, 8), bool)
    line[2, 1:5] = True
    assert np.array_equal(fill_convex(np.array([[1.0, 2.0], [4.0, 2.0]]), 6, 8), line)
    assert fill_convex(np.array([[-9.0, -9.0], [90.0, -9.0], [90.0, 90.0], [-9.0, 90.0]]), 6, 8).all()
    assert not fill_convex(np.array([[-9.0, -9.0], [-2.0, -9.0], [-2.0, 90.0]]), 6, 8).any()


def oval_face(forehead: bool = True) -> np.ndarray:
    """A schematic face of 68 or 81 points in common form, upright and mirror symmetric, in an image of 200 x 200."""
    points = np.zeros((81, 2))
    angles = np.linspace(np.pi, 0, 17)
    points[:17] = np.column_stack([100 + 60 * np.cos(angles), 90 + 80 * np.sin(angles)])
    points[17:27, 0] = [50, 59, 68, 77, 86, 114, 123, 132, 141, 150]
    points[17:27, 1] = [72, 66, 64, 66, 70, 70, 66, 64, 66, 72]
    points[27:31] = [[100, y] for y in (82, 92, 102, 112)]
    points[31:36] = [[x, 120] for x in (88, 94, 100, 106, 112)]
    eye = np.array([[-12, 0], [-5, -4], [5, -4], [12, 0], [5, 4], [-5, 4]])
    points[36:42], points[42:48] = eye + np.array([70, 86]), eye + np.array([130, 86])
    turns = np.pi + np.linspace(0, 2 * np.pi, 13)[:12]
    points[48:60] = np.column_stack([100 + 25 * np.cos(turns), 142 + 10 * np.sin(turns)])
    turns = np.pi + np.linspace(0, 2 * np.pi, 9)[:8]
    points[60:68] = np.column_stack([100 + 18 * np.cos(turns), 142 + 4 * np.sin(turns)])
    angles = np.linspace(np.pi, 2 * np.pi, 15)[1:-1]
    points[68:] = np.column_stack([100 + 60 * np.cos(angles), 88 + 60 * np.sin(angles)])
    return points if forehead else points[:68]


@pytest.mark.parametrize("kind", HULLS)
def test_every_kind_is_the_union_of_its_regions(kind: str) -> None:
    points = oval_face()
    mask = face_mask(points, 200, 200, kind)
    expected = np.zeros((200, 200), bool)
    ys, xs = np.mgrid[:200, :200]
    for region in hull_regions(points, kind):
        # An independent hull: its extreme points in 720 directions bound it.
        turns = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        directions = np.column_stack([np.cos(turns), np.sin(turns)])
        reach = (region @ directions.T).max(axis=0)
        expected |= ((xs[..., None] * directions[:, 0] + ys[..., None] * directions[:, 1]) <= reach + 1e-9).all(axis=-1)
    # The directions bound the hull from outside, to within a fraction of a pixel at its corners.
    assert not (mask & ~expected).any()
    assert (mask ^ expected).sum() < 0.002 * mask.sum() + 12


def test_what_the_kinds_cover() -> None:
    points = oval_face()
    masks = {kind: face_mask(points, 200, 200, kind) for kind in HULLS}
    for kind, mask in masks.items():
        # Mirror symmetric like the face, and with eyes, nose, mouth and chin inside.
        assert np.array_equal(mask[:, 1:], mask[:, 1:][:, ::-1]), kind
        for part in (30, 33, 37, 44, 51, 57, 8, 40):
            x, y = np.rint(points[part]).astype(int)
            assert mask[y, x], (kind, part)
    assert (masks["components"] <= masks["extended"]).all()
    assert masks["extended"][: int(points[17:27, 1].min())].any()
    assert not masks["components"][: int(points[17:27, 1].min())].any()
    # The convex hull of the 68 parts contains what is made of them; with a forehead it is larger.
    plain = face_mask(points[:68], 200, 200, "hull")
    assert (masks["full"] <= plain).all()
    assert (masks["components"] <= plain).all()
    assert (plain < masks["hull"]).any()
    assert (plain <= masks["hull"]).all()
    # Of a face without a forehead the others are the same.
    for kind in ("full", "extended", "components"):
        assert np.array_equal(face_mask(points[:68], 200, 200, kind), masks[kind])
    sizes = {kind: int(mask.sum()) for kind, mask in masks.items()}
    assert len(set(sizes.values())) == len(HULLS)


def test_masks_that_cannot_be_made() -> None:
    with pytest.raises(UsageError, match="unknown kind"):
        face_mask(oval_face(), 10, 10, "dfl")
    with pytest.raises(DataError, match="at least 68"):
        face_mask(oval_face()[:5], 10, 10)
