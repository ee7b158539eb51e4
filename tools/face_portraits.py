"""Portraits for ``fit_face_model.py``: landmarks, silhouettes, and which of them wear glasses.

Points of a portrait: the 468 of the face mesh, 10 of the irises, and 26 of the head's silhouette.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

MESH, IRIS, RAYS = 468, 10, 26
"""Points of the face mesh, of the two irises, and of the head's silhouette."""
ANCHOR = 168
"""Mesh point between the eyes, from which silhouette and outer ring are measured."""
GLASSES_KEPT = 0.70
"""Share of portraits kept by the glasses score."""
EXCLUDED = ("H001045", "L000553")
"""Portraits left out after the fixed glasses rule, by file id (both wear glasses)."""


@dataclass(frozen=True)
class Portrait:
    """One portrait: its image (H, W, 3 BGR uint8) and points (504, 3) in pixels (z towards the back)."""

    name: str
    image: np.ndarray
    points: np.ndarray
    glasses: float


def read_portraits(folder: Path) -> list[Portrait]:
    """Landmarks, silhouette and glasses score of every portrait of ``index.csv`` in which a face is found."""
    import mediapipe

    with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: row["id"])
    found = []
    solutions = mediapipe.solutions
    with (
        solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=1) as mesh,
        solutions.selfie_segmentation.SelfieSegmentation(model_selection=0) as segmentation,
    ):
        for row in rows:
            image = cv2.imread(str(folder / row["file"]))
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            answer = mesh.process(rgb).multi_face_landmarks
            if not answer:
                continue
            height, width = image.shape[:2]
            points = np.array([(p.x * width, p.y * height, p.z * width) for p in answer[0].landmark])
            mask = segmentation.process(rgb).segmentation_mask
            outline = silhouette(points, mask)
            found.append(Portrait(row["id"], image, np.vstack([points, outline]), glasses_score(image, points)))
    return found


def silhouette(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Where 26 rays from between the eyes leave the person: (26, 3), angles -125..125 degrees from "up"."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)
    centre = points[ANCHOR, :2]
    across = points[454, :2] - points[234, :2]
    face = float(np.hypot(*across))
    roll = np.arctan2(across[1], across[0])
    radii = np.arange(0.35, 1.02, 0.004) * face
    lengths = []
    for angle in np.deg2rad(np.arange(-125, 126, 10)) + roll:
        ray = centre + radii[:, None] * np.array([np.sin(angle), -np.cos(angle)])
        inside = cv2.remap(soft, ray[:, :1].astype(np.float32), ray[:, 1:].astype(np.float32), cv2.INTER_LINEAR).ravel()
        outside = np.flatnonzero(inside < 0.5)
        lengths.append(radii[outside[0]] if outside.size else radii[-1])
    smooth = np.convolve(np.pad(np.array(lengths), 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid") * 0.965
    angles = np.deg2rad(np.arange(-125, 126, 10)) + roll
    xy = centre + smooth[:, None] * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    depth = points[[127, 356, 162, 389], 2].mean()
    return np.column_stack([xy, np.full(RAYS, depth)])


def glasses_score(image: np.ndarray, points: np.ndarray) -> float:
    """Energy of horizontal edges on the nose bridge and under the eyes, in units of the face."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    edges = np.abs(cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F, 0, 1))
    eye = float(np.hypot(*(points[263, :2] - points[33, :2])))

    def patch(centre: np.ndarray, wide: float, high: float) -> float:
        x, y = centre
        rows = slice(max(int(y - high * eye), 0), int(y + high * eye) + 1)
        return float(edges[rows, max(int(x - wide * eye), 0) : int(x + wide * eye) + 1].mean())

    return np.hypot(
        patch(points[ANCHOR, :2], 0.07, 0.10),
        0.5 * (patch(points[119, :2], 0.14, 0.09) + patch(points[348, :2], 0.14, 0.09)),
    )


def without_glasses(portraits: list[Portrait]) -> list[Portrait]:
    """The portraits with the lowest glasses score, less :data:`EXCLUDED`; sorted by id."""
    order = sorted(portraits, key=lambda p: p.glasses)[: round(GLASSES_KEPT * len(portraits))]
    return sorted((p for p in order if p.name not in EXCLUDED), key=lambda p: p.name)
