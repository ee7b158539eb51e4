from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfbench.mini.publication import ZOOM, SplitPosition, draw_publication, margin_of
from dfbench.mini.shape import Placed

SIZE = (192, 144)
HERE = SplitPosition("test", 2, 40)


def master(size: tuple[int, int] = SIZE) -> tuple[int, int]:
    return size[0] + 2 * margin_of(size), size[1] + 2 * margin_of(size)


def placed(xy: np.ndarray) -> Placed:
    return Placed(xy.astype(np.float32), np.zeros(len(xy), np.float32))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    number=st.integers(0, 999),
    width=st.integers(80, 960).map(lambda n: 2 * n),
    height=st.integers(60, 540).map(lambda n: 2 * n),
)
def test_the_masters_border_never_shows(seed: int, number: int, width: int, height: int) -> None:
    matrix = draw_publication("real/071", SplitPosition("test", number, 1000), (width, height), seed).matrix
    back = np.linalg.inv(matrix[:, :2])
    corners = np.array([[x, y] for x in (0, width - 1) for y in (0, height - 1)])
    inside = (corners - matrix[:, 2]) @ back.T
    # At a corner the outermost tap of the cubic kernel may repeat the border's pixel; no position lies beyond it.
    assert (inside >= 0).all()
    assert (inside <= np.array(master((width, height))) - 1).all()


def test_points_follow_the_framing() -> None:
    width, height = master()
    truth = np.array([[40.0, 35.0], [150.0, 60.0], [90.0, 120.0]])
    ys, xs = np.mgrid[:height, :width]
    for number in range(8):
        public = draw_publication(f"real/{number}", SplitPosition("test", number, 8), SIZE, 0)
        for point, found in zip(truth, public.points(placed(truth)).xy, strict=True):
            spot = 200 * np.exp(-((xs - point[0]) ** 2 + (ys - point[1]) ** 2) / (2 * 4.0**2))
            image = public.image(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)).mean(2)
            light = np.where(image > 40, image, 0.0)
            v, u = np.mgrid[: SIZE[1], : SIZE[0]]
            centre = np.array([(light * u).sum(), (light * v).sum()]) / light.sum()
            assert centre == pytest.approx(found, abs=0.1)


def test_each_file_has_a_draw_of_its_own() -> None:
    files = [draw_publication(name, HERE, SIZE, 0) for name in ("real/071", "Deepfakes/071_054", "FaceSwap/071_054")]
    assert len({float(np.linalg.det(p.matrix[:, :2])) for p in files}) == 3
    assert len({(p.grain, float(p.curve[128])) for p in files}) == 3
    again = draw_publication("real/071", HERE, SIZE, 0)
    frame = np.full((*master()[::-1], 3), 90, np.uint8)
    assert np.array_equal(files[0].image(frame), again.image(frame))


def test_reals_and_each_methods_fakes_get_the_same_values_in_other_orders() -> None:
    count = 200

    def values(kind: str) -> np.ndarray:
        files = [draw_publication(f"{kind}/{n}", SplitPosition("test", n, count), SIZE, 0) for n in range(count)]
        rows = []
        for file in files:
            turn, (x, y) = file.matrix[:, :2], file.matrix[:, 2]
            shift = np.linalg.solve(turn, (np.array(SIZE) - 1) / 2 - (x, y))
            tilt, gain = np.arctan2(turn[1, 0], turn[0, 0]), file.curve[255]
            gamma = np.log(file.curve[64] / gain)
            rows.append([np.sqrt(np.linalg.det(turn)), tilt, *shift, gain, gamma, file.grain, file.keyframes])
        return np.array(rows)

    real, fake = values("real"), values("Deepfakes")
    assert np.abs(real[:, 0] - 1).max() <= ZOOM
    apart = np.abs(np.sort(real, axis=0) - np.sort(fake, axis=0)).max(0) / np.ptp(real, axis=0)
    assert apart.max() < 0.06  # a keyframe is 1/19 of its range
    assert np.delete(apart, -1).max() < 0.011  # two parts of 200
    assert (np.abs(real.mean(0) - fake.mean(0)) / real.std(0)).max() < 0.02  # of plain draws: about 0.1
    # One value says nothing about another of the same file, or of the other file.
    both = np.corrcoef(np.hstack([real, fake]).T) - np.eye(16)
    assert np.abs(both).max() < 0.3
