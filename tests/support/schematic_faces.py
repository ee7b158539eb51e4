"""Schematic faces: points on an oval, and the columns of a manifest's row with patch and dense landmarks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from dfbench.faces.landmark_sets import DLIB_FOREHEAD
from dfbench.media.images import encode_png, pixel_hash
from dfbench.schema.ids import seed_from

EXTRAS = ("patch", "dense")
SIDE = 100
"""Height and width of a patch."""


def schematic_points(forehead: bool = True) -> np.ndarray:
    """81 points in common form on an upright oval in an image of 200 x 200."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(70, 130, 81), rng.uniform(80, 150, 81)])
    turns = np.linspace(np.pi, 0, 17)
    points[:17] = np.column_stack([100 + 45 * np.cos(turns), 95 + 65 * np.sin(turns)])
    points[17:27] = np.column_stack([np.linspace(62, 138, 10), np.full(10, 80)])
    turns = np.linspace(np.pi, 2 * np.pi, 15)[1:-1]
    points[68:] = np.column_stack([100 + 45 * np.cos(turns), 95 + 45 * np.sin(turns)])
    return points if forehead else points[:68]


def face_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Box, landmarks and a patch for a row with a crop: a blurred noise of its own in a frame of 130 x 120."""
    if row["status"] != "ok":
        return {}
    rng = np.random.default_rng(seed_from(row["sample_id"], "patch"))
    pixels = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), (0, 0), 2.0)
    pixels = np.clip(128 + 3.0 * (pixels.astype(float) - 128), 0, 255).astype(np.uint8)
    points = schematic_points() / 2 + (15, 10)
    return {
        "width": 130,
        "height": 120,
        "box": [45.0, 45.0, 85.0, 92.5],
        "landmarks": [55.0, 57.0, 75.0, 57.0, 65.0, 67.0, 57.0, 77.0, 73.0, 77.0],
        "face_score": 0.9,
        "dense": points[np.argsort([*range(68), *DLIB_FOREHEAD])].reshape(-1).tolist(),
        "patch": {"bytes": encode_png(pixels), "path": None},
        "patch_box": [15, 10, 15 + SIDE, 10 + SIDE],
        "sha256_patch": pixel_hash(pixels),
    }
