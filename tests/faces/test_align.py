"""The closed-form similarity is the least-squares one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dfbench.errors import DataError
from dfbench.faces.align import scale_of, similarity

POINTS = arrays.arrays(np.float64, (5, 2), elements=st.floats(-500, 500))


def transformed(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + shift


@given(POINTS, st.floats(-3.1, 3.1), st.floats(0.05, 20), st.tuples(st.floats(-900, 900), st.floats(-900, 900)))
@settings(max_examples=60, deadline=None)
def test_an_exact_similarity_is_found(
    points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    assume(points.std(axis=0).max() > 1)
    target = transformed(points, angle, scale, shift)
    matrix = similarity(points, target)
    assert np.allclose(points @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-6)
    assert scale_of(matrix) == pytest.approx(scale, rel=1e-9)


def test_it_is_the_least_squares_solution() -> None:
    # The same problem as a linear system in (a, b, x, y), solved by a general method.
    rng = np.random.default_rng(0)
    for _ in range(50):
        source, target = rng.normal(0, 60, (2, 5, 2)) + rng.uniform(-300, 300, (2, 1, 2))
        rows, values = [], []
        for (x, y), (u, v) in zip(source, target, strict=True):
            rows += [[x, -y, 1, 0], [y, x, 0, 1]]
            values += [u, v]
        a, b, shift_x, shift_y = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
        assert np.allclose(similarity(source, target), [[a, -b, shift_x], [b, a, shift_y]], atol=1e-8)


def test_it_agrees_with_scikit_image() -> None:
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(1)
    base = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], float)
    for _ in range(50):
        source = transformed(base, rng.uniform(-0.6, 0.6), rng.uniform(0.5, 6), tuple(rng.uniform(0, 800, 2)))
        source += rng.normal(0, 2, source.shape)
        target = base * 2
        reference = transform.SimilarityTransform()
        fit = getattr(transform.SimilarityTransform, "from_estimate", None)
        if fit is not None:
            reference = fit(source, target)
        else:
            reference.estimate(source, target)
        assert np.abs(similarity(source, target) - reference.params[:2]).max() < 1e-9


def test_mirrored_points_are_not_reflected() -> None:
    base = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]], float)
    matrix = similarity(base * [-1, 1], base)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.ones((5, 2)), np.arange(10.0).reshape(5, 2)),
        (np.arange(10.0).reshape(5, 2), np.ones((5, 2))),
        (np.full((5, 2), np.nan), np.arange(10.0).reshape(5, 2)),
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros((5, 2)), np.zeros((4, 2))),
        (np.zeros((5, 3)), np.zeros((5, 3))),
    ],
)
def test_points_without_a_similarity_are_refused(source: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(DataError):
        similarity(source, target)
