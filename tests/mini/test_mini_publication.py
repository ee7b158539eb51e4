from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.mini.publication import ZOOM, draw_publication, margin_of
from dfbench.mini.shape import Placed

SIZE = (192, 144)


def master(size: tuple[int, int] = SIZE) -> tuple[int, int]:
    return size[0] + 2 * margin_of(size), size[1] + 2 * margin_of(size)


def placed(xy: np.ndarray) -> Placed:
    return Placed(xy.astype(np.float32), np.zeros(len(xy), np.float32))


@settings(max_examples=200, deadline=None)
@given(
    name=st.integers(0, 10**6),
    width=st.integers(80, 960).map(lambda n: 2 * n),
    height=st.integers(60, 540).map(lambda n: 2 * n),
)
def test_the_masters_border_never_shows(name: int, width: int, height: int) -> None:
    matrix = draw_publication(str(name), (width, height), 0).matrix
    back = np.linalg.inv(matrix[:, :2])
    corners = np.array([[x, y] for x in (0, width - 1) for y in (0, height - 1)])
    inside = (corners - matrix[:, 2]) @ back.T
    # The cubic kernel reaches two pixels.
    assert (inside >= 1).all()
    assert (inside <= np.array(master((width, height))) - 2).all()


def test_points_follow_the_framing() -> None:
    width, height = master()
    truth = np.array([[40.0, 35.0], [150.0, 60.0], [90.0, 120.0]])
    ys, xs = np.mgrid[:height, :width]
    for number in range(8):
        public = draw_publication(f"real/{number}", SIZE, 0)
        for point, found in zip(truth, public.points(placed(truth)).xy, strict=True):
            spot = 200 * np.exp(-((xs - point[0]) ** 2 + (ys - point[1]) ** 2) / (2 * 4.0**2))
            picture = public.picture(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)).mean(2)
            light = np.where(picture > 40, picture, 0.0)
            v, u = np.mgrid[: SIZE[1], : SIZE[0]]
            centre = np.array([(light * u).sum(), (light * v).sum()]) / light.sum()
            assert centre == pytest.approx(found, abs=0.1)


def test_each_file_has_a_draw_of_its_own() -> None:
    files = [draw_publication(name, SIZE, 0) for name in ("real/071", "Deepfakes/071_054", "FaceSwap/071_054")]
    assert len({float(np.linalg.det(p.matrix[:, :2])) for p in files}) == 3
    assert len({(p.grain, float(p.curve[128])) for p in files}) == 3
    again = draw_publication("real/071", SIZE, 0)
    frame = np.full((*master()[::-1], 3), 90, np.uint8)
    assert np.array_equal(files[0].picture(frame), again.picture(frame))


def test_real_and_fake_are_drawn_from_the_same_distributions() -> None:
    def values(kind: str) -> np.ndarray:
        files = [draw_publication(f"{kind}/{n}", SIZE, 0) for n in range(600)]
        return np.array(
            [
                (np.log(np.linalg.det(p.matrix[:, :2])) / 2, p.matrix[0, 1], p.curve[128], p.grain, p.keyframes)
                for p in files
            ]
        )

    real, fake = values("real"), values("Deepfakes")
    assert np.abs(real[:, 0]).max() <= -np.log(1 - ZOOM) + 1e-9
    assert np.abs((real.mean(0) - fake.mean(0)) / real.std(0)).max() < 0.2
    assert np.abs(np.log(real.std(0) / fake.std(0))).max() < 0.15
    # One value says nothing about another of the same file, or of the other file.
    both = np.corrcoef(np.hstack([real, fake]).T) - np.eye(10)
    assert np.abs(both).max() < 0.2
