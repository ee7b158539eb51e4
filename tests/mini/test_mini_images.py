"""The parts that make images fast, against slower ways to the same result."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfbench.mini import warp
from dfbench.mini.facemodel import load_face_model
from dfbench.mini.forge.common import colour_transfer, grain
from dfbench.mini.forge.faceswap import cloned
from dfbench.mini.settings import channel_noise, normals, stream
from dfbench.mini.shape import Expression, Pose, expressed, project


def smooth(rng: np.random.Generator, height: int, width: int, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)).astype(np.float32), (0, 0), sigma)


def ellipse(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 2 - 9, height // 2 - 9), 0, 0, 360, 255, -1)
    return mask / np.float32(255)


def test_normals_are_normal() -> None:
    values = normals(stream("somebody", "noise", 0), 401, 500).ravel().astype(float)
    assert values.dtype == float
    assert len(np.unique(values)) > 50_000
    assert abs(values.mean()) < 0.01
    assert values.std() == pytest.approx(1, abs=0.01)
    assert (values**4).mean() == pytest.approx(3, abs=0.1)
    assert np.mean(np.abs(values) > 1.959964) == pytest.approx(0.05, abs=0.002)
    neighbours = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(neighbours) < 0.01


def test_channels_share_their_part_of_the_noise() -> None:
    noise = channel_noise(stream("somebody", "noise", 1), 300, 400, common=1.6, own=1.2).reshape(-1, 3)
    expected = 1.6**2 + 1.2**2 * np.eye(3)
    assert np.cov(noise.T) == pytest.approx(expected, abs=0.05)


def test_grain_has_its_level() -> None:
    assert grain((200, 300, 3), 2.5, stream("somebody", "grain", 0)).std() == pytest.approx(2.5, rel=0.02)


def test_a_triangle_covers_the_pixels_it_touches_and_later_ones_cover_earlier_ones() -> None:
    rng = np.random.default_rng(0)
    corners = (rng.uniform(-8, 60, (60, 1, 2)) + rng.normal(0, 7, (60, 3, 2))).astype(np.float32)
    corners[0, 1:, 1] = corners[0, 0, 1] + np.float32([0, 3])  # a level edge
    seen = warp._drawn(corners, np.arange(60, dtype=np.int16), 50, 40)
    points = np.stack(np.meshgrid(np.arange(50), np.arange(40)), axis=-1).astype(float)
    centre, touched = np.full((40, 50), -1), np.zeros((60, 40, 50), bool)
    across = [np.array(c) for c in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]
    for number, triangle in enumerate(corners.astype(float)):
        turn = np.sign(np.linalg.det(triangle[1:] - triangle[0]))
        inside, near = np.ones((40, 50), bool), np.ones((40, 50), bool)
        for p, q in zip(triangle, np.roll(triangle, -1, axis=0), strict=True):
            normal = turn * np.array([p[1] - q[1], q[0] - p[0]])
            inside &= (points - p) @ normal > 1e-3
            near &= np.max([(points + c - p) @ normal for c in across], axis=0) >= -1e-3
        for axis in range(2):
            near &= points[..., axis] + 0.5 >= triangle[:, axis].min() - 1e-3
            near &= points[..., axis] - 0.5 <= triangle[:, axis].max() + 1e-3
        centre[inside] = number
        touched[number] = near
    assert (centre >= 0).mean() > 0.3
    assert (seen >= centre).all()
    rows, columns = np.nonzero(seen >= 0)
    assert touched[seen[rows, columns], rows, columns].all()
    last = np.where(touched.any(0), 59 - np.argmax(touched[::-1], axis=0), -1)
    assert np.mean(seen == last) > 0.995  # the rest touches within rounding


def test_the_map_is_that_of_each_triangle() -> None:
    model = load_face_model()
    placed = project(expressed(model, model.mean_shape.copy(), Expression(jaw=0.5)), Pose(6, -4, 4, 160, 110, 100))
    seen = warp.warp_map(placed.xy, placed.depth, model.frame, model.triangles, 320, 240)
    # Where a point of the face lies in the image, the map gives its place in the texture.
    front = [1, 4, 5, 6, 9, 10, 50, 67, 101, 108, 151, 152, 168, 175, 195, 205, 280, 297, 330, 337, 425]
    for x, y, texture in zip(*placed.xy[front].T, model.frame[front], strict=True):
        at = np.float32([[x - seen.left]]), np.float32([[y - seen.top]])
        found = [float(cv2.remap(plane, *at, cv2.INTER_LINEAR)[0, 0]) for plane in (seen.x, seen.y)]
        assert found == pytest.approx(texture, abs=0.7)


def test_cloning_agrees_with_opencv() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((150, 116), (149, 121)):
        new, old, mask = 0.9 * smooth(rng, height, width, 2) + 20, smooth(rng, height, width, 3), ellipse(height, width)
        found = cloned(new, old, mask)
        x, y, w, h = cv2.boundingRect((mask > 0.5).astype(np.uint8))
        centre = (x + w // 2, y + h // 2)
        inside = (mask > 0.5).astype(np.uint8) * 255
        as_bytes = [np.rint(image).astype(np.uint8) for image in (new, old)]
        expected = cv2.seamlessClone(as_bytes[0], as_bytes[1], inside, centre, cv2.NORMAL_CLONE)
        assert np.abs(found - old)[mask > 0.5].mean() > 3
        # OpenCV rounds the images before and cuts off digits behind the point afterwards.
        assert np.abs(found - 0.5 - expected).max() < 2.5


def test_a_region_too_small_to_clone_is_returned() -> None:
    new = np.ones((20, 20, 3), np.float32)
    assert cloned(new, 0 * new, np.zeros((20, 20), np.float32)) is new


def test_colours_take_mean_and_deviation_of_the_other_image() -> None:
    rng = np.random.default_rng(1)
    new, old = 0.8 * smooth(rng, 90, 80, 2) + 10, smooth(rng, 90, 80, 2)
    mask = ellipse(90, 80)
    moved = colour_transfer(new, old, mask, 1.0)
    lab = [cv2.cvtColor(image / np.float32(255), cv2.COLOR_RGB2LAB)[mask > 0.5] for image in (moved, old)]
    assert lab[0].mean(0) == pytest.approx(lab[1].mean(0), abs=0.3)
    assert lab[0].std(0) == pytest.approx(lab[1].std(0), rel=0.1)
    assert colour_transfer(new, old, mask, 0.0) == pytest.approx(new, abs=1)
