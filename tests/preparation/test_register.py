"""Images are aligned before they are compared."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfbench.preparation.extraction.registration import framed_apart, registered


@pytest.fixture
def scene() -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 220, (20, 27, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (432, 320), interpolation=cv2.INTER_CUBIC), np.uint8)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(cv2.absdiff(one, other)[30:-30, 30:-30].mean())


@pytest.mark.parametrize(("angle", "zoom", "shift"), [(2, 1.03, 5), (-2, 0.97, -5), (1, 1.0, 8)])
def test_a_turned_zoomed_shifted_brightened_image_is_laid_over_its_original(scene, angle, zoom, shift):
    motion = cv2.getRotationMatrix2D((216, 160), angle, zoom)
    motion[:, 2] += shift
    moved = cv2.warpAffine(scene, motion, (432, 320), borderMode=cv2.BORDER_REPLICATE)
    published = np.clip(moved * 1.06 + 4, 0, 255).astype(np.uint8)
    assert apart(registered(published, scene), scene) < 0.1 * apart(published, scene)


def test_what_was_forged_stays_different(scene):
    forged = scene.copy()
    forged[100:180, 150:230] = forged[100:180, 150:230][:, ::-1]
    motion = cv2.getRotationMatrix2D((216, 160), 1.5, 1.02)
    moved = cv2.warpAffine(forged, motion, (432, 320), borderMode=cv2.BORDER_REPLICATE)
    change = cv2.absdiff(registered(moved, scene), scene).mean(axis=2)
    assert change[100:180, 150:230].mean() > 8 * change[190:300, 150:230].mean()


def test_images_in_place_stay_as_they_are(scene):
    forged = scene.copy()
    forged[100:180, 150:230] = forged[100:180, 150:230][:, ::-1]
    assert np.array_equal(registered(scene, scene), scene)
    assert abs(apart(registered(forged, scene), forged)) < 1


@pytest.mark.parametrize("value", [0, 90])
def test_flat_images_are_not_moved(value, scene):
    flat = np.full_like(scene, value)
    assert registered(flat, flat).shape == scene.shape
    assert np.array_equal(registered(flat, flat), flat)
    assert registered(flat, scene).dtype == np.uint8
    assert registered(scene, flat).dtype == np.uint8
    small = scene[:3, :2]
    assert registered(small, small).shape == small.shape


@pytest.mark.parametrize("shift", [(2, 0), (-3, 4), (0, -12)])
def test_a_shift_is_measured(scene, shift):
    motion = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    moved = cv2.warpAffine(scene, motion, (432, 320), borderMode=cv2.BORDER_REPLICATE)
    assert framed_apart(moved, scene) == pytest.approx(np.hypot(*shift) / 432, abs=0.0015)


def test_a_turn_and_a_zoom_are_measured_where_they_reach_furthest(scene):
    motion = cv2.getRotationMatrix2D((216, 160), 1.5, 1.02)
    moved = cv2.warpAffine(scene, motion, (432, 320), borderMode=cv2.BORDER_REPLICATE)
    corners = np.array([[x, y, 1] for x in (108, 324) for y in (80, 240)])
    ways = np.linalg.norm(corners @ motion.T - corners[:, :2], axis=1)
    assert framed_apart(moved, scene) == pytest.approx(ways.max() / 432, abs=0.002)


def test_what_lies_in_place_is_framed_alike(scene):
    forged = np.clip(scene * 0.9 + 12, 0, 255).astype(np.uint8)
    forged[60:260, 90:340] = forged[60:260, 90:340][:, ::-1]  # a face that fills a third of the image, lit anew
    assert framed_apart(forged, scene) < 1e-6
    assert framed_apart(scene, scene) < 1e-6
    flat = np.full_like(scene, 90)
    assert framed_apart(flat, flat) == 0
    assert framed_apart(flat, scene) == 0
    assert framed_apart(scene, flat) == 0
