"""Masks from hulls: filled as half-plane tests in float64 say, with the regions that their names promise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.errors import DataError, UsageError
from dfbench.faces.hulls import HULLS, face_mask, fill_convex


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


# The 68 parts as iBUG 300-W numbers them, from 0, and the regions as docs/sbi.md says; not those of the module.
BROWS, EYES, MOUTH = [*range(17, 27)], [*range(36, 48)], [*range(48, 68)]
COMPONENTS = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 17, 18, 19, 20, 21, 27, 28, 29, 30],
    [8, 9, 10, 11, 12, 13, 14, 15, 16, 22, 23, 24, 25, 26, 27, 28, 29, 30],
    [20, 21, 22, 23, *EYES, 31, 32, 33, 34, 35, *MOUTH, 8],
]
REGIONS = {
    "full": [[*range(17), *MOUTH], [27, 28, 29, 30, 31, 32, 33, 34, 35], [*BROWS, *EYES, 0, 16]],
    "components": COMPONENTS,
    "extended": COMPONENTS,
    "hull": [[*range(81)]],
}


def filled_finely(points: np.ndarray, regions: list[list[int]], scale: int) -> np.ndarray:
    """The union of hulls in an image of 200 x 200, each pixel of which is divided, by integers alone."""
    large = np.zeros((200 * scale, 200 * scale), np.uint8)
    for region in regions:
        hull = cv2.convexHull(np.rint(points[region] * scale).astype(np.int32))
        cv2.fillConvexPoly(large, hull, 1)
    return large


def on_a_circle(seed: int) -> np.ndarray:
    """All points on a circle in any order: each of them is a corner of every hull that it belongs to."""
    turns = np.random.default_rng(seed).permutation(81) * 2 * np.pi / 81
    return np.column_stack([100 + 80 * np.cos(turns), 105 + 80 * np.sin(turns)])


@pytest.mark.parametrize("kind", HULLS)
def test_every_kind_is_the_union_of_its_regions(kind: str) -> None:
    scale = 16
    kernel = np.ones((3, 3), np.uint8)
    for points in (oval_face(), *map(on_a_circle, range(20))):
        large = filled_finely(points, REGIONS[kind], scale)
        if kind == "extended":
            lifted = points.copy()
            lifted[BROWS] += points[BROWS].mean(axis=0) - points[EYES].mean(axis=0)
            large |= filled_finely(lifted, REGIONS[kind], scale)
        # Pixels whose centre is within an eighth of a pixel of the border may go either way.
        least, most = cv2.erode(large, kernel, iterations=1), cv2.dilate(large, kernel, iterations=1)
        mask = face_mask(points, 200, 200, kind)
        assert (least[::scale, ::scale].astype(bool) <= mask).all()
        assert (mask <= most[::scale, ::scale].astype(bool)).all()


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
