"""Portraits of 69 people on larger canvases: small faces are found, as far as the documentation says."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfbench.faces.detectors import build_face_detector
from dfbench.media.images import decode_image

pytestmark = pytest.mark.long


def placed(image: np.ndarray, width: int, height: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    """A portrait at a random place of a textured canvas, and its upper left corner."""
    texture = rng.integers(40, 200, (height // 24, width // 24, 3), np.uint8)
    canvas = cv2.resize(texture, (width, height), interpolation=cv2.INTER_CUBIC)
    left = int(rng.integers(width - image.shape[1]))
    top = int(rng.integers(height - image.shape[0]))
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas, (left, top)


@pytest.mark.parametrize(("width", "height", "face"), [(1280, 720, 28), (1920, 1080, 48), (3840, 2160, 60)])
def test_small_faces_in_large_frames_are_found(shared_folder: Path, width: int, height: int, face: int) -> None:
    folder = shared_folder / "faces_public_domain"
    if not folder.is_dir():
        pytest.skip("the portraits are not there")
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::3]
    assert len(rows) == 69
    detector = build_face_detector("centerface-full")
    rng = np.random.default_rng(face)
    found = 0
    for row in rows:
        x, y, face_width, face_height = (float(row[f"face_{side}"]) for side in "xywh")
        scale = face / face_width
        image = decode_image((folder / row["file"]).read_bytes())
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        canvas, corner = placed(small, width, height, rng)
        centre = np.array(corner) + scale * np.array([x + face_width / 2, y + face_height / 2])
        boxes = [seen.box for seen in detector.detect([canvas])[0]]
        found += any((np.abs((box[:2] + box[2:]) / 2 - centre) < face / 2).all() for box in boxes)
    assert found >= 0.95 * len(rows)
