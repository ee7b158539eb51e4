"""Textures of portraits in one frame, for ``fit_face_model.py``: triangles, unwrapping, fine detail, normals."""

from __future__ import annotations

import cv2
import numpy as np
from face_portraits import ANCHOR, IRIS, MESH, RAYS, Portrait
from scipy.spatial import Delaunay

WIDTH, HEIGHT = 208, 256
"""Size of the texture frame, pixels."""
JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)


def with_ring(points: np.ndarray) -> np.ndarray:
    """Append the outer ring (outline x 1.12 from the anchor), which carries the soft edge of the head."""
    outline = np.concatenate([points[MESH + IRIS :], points[list(JAW)]])
    ring = points[ANCHOR] + 1.12 * (outline - points[ANCHOR])
    ring[:, 2] = outline[:, 2]
    return np.vstack([points, ring])


def texture_frame(neutral: np.ndarray) -> np.ndarray:
    """Place the closed-lips neutral shape in the texture frame: (points + ring, 2) pixels."""
    points = neutral.copy()
    half = np.array([0, 0.004, 0])
    for up, low in zip(UPPER_INNER, LOWER_INNER, strict=True):
        middle = 0.5 * (points[up] + points[low])
        points[up], points[low] = middle - half, middle + half
    ring = with_ring(points)
    low, high = ring[:, :2].min(0), ring[:, :2].max(0)
    scale = min((WIDTH - 3) / (high[0] - low[0]), (HEIGHT - 3) / (high[1] - low[1]))
    offset = np.array(
        [(WIDTH - 1) / 2 - scale * (high[0] + low[0]) / 2, (HEIGHT - 1) / 2 - scale * (high[1] + low[1]) / 2]
    )
    return ring[:, :2] * scale + offset


def triangulate(frame: np.ndarray) -> np.ndarray:
    """Delaunay triangles (T, 3) of the texture frame without the iris points, no needle along the rim."""
    used = np.concatenate([np.arange(MESH), np.arange(MESH + IRIS, len(frame))])
    triangles = used[Delaunay(frame[used]).simplices]
    a, b, c = (frame[triangles[:, k]] for k in range(3))
    area = 0.5 * np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))
    first_ring = MESH + IRIS + RAYS
    rim = (triangles >= first_ring).all(axis=1)
    return triangles[(area > 0.02) & ~rim]


def unwrap(portrait: Portrait, frame: np.ndarray, triangles: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The portrait's texture (HEIGHT, WIDTH, 3) BGR float32 in the texture frame."""
    points = with_ring(portrait.points)[:, :2]
    source, target = points[triangles], frame[triangles]
    ones = np.ones((len(triangles), 3, 1))
    matrices = np.linalg.solve(np.concatenate([target, ones], axis=2), source)  # (T, 3, 2)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    m = matrices[np.maximum(index, 0)]
    where = xs[..., None] * m[..., 0, :] + ys[..., None] * m[..., 1, :] + m[..., 2, :]
    smooth = cv2.GaussianBlur(portrait.image, (0, 0), 0.7)
    sampled = cv2.remap(
        smooth,
        where[..., 0].astype(np.float32),
        where[..., 1].astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return sampled.astype(np.float32)


def triangle_index(frame: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangle number of every texel (HEIGHT, WIDTH) int32, -1 outside."""
    index = np.full((HEIGHT, WIDTH), -1, np.int32)
    for number, corners in enumerate(np.round(frame[triangles] * 16).astype(np.int32)):
        cv2.fillConvexPoly(index, corners, number, cv2.LINE_8, 4)
    return index


def fill_outside(texture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Carry the colour of the head outwards over everything that is not head (nearest texel, softened)."""
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    ys, xs = np.nonzero(inside)
    lookup = np.zeros(labels.max() + 1, int)
    lookup[labels[inside]] = np.arange(len(ys))
    nearest = lookup[labels]
    filled = texture[ys[nearest], xs[nearest]]
    soft = cv2.GaussianBlur(filled, (0, 0), 2.0)
    return np.where(inside[..., None], texture, soft)


def detail_maps(residual: np.ndarray) -> np.ndarray:
    """Standard deviation of what the components miss, in three bands of scale: (3, HEIGHT, WIDTH) grey levels."""
    image = residual[:, : HEIGHT * WIDTH].reshape(-1, HEIGHT, WIDTH)
    bands = np.zeros((3, HEIGHT, WIDTH))
    for luma in image.astype(np.float32):
        levels = [luma, *(cv2.GaussianBlur(luma, (0, 0), s) for s in (0.8, 1.6, 3.2))]
        for band in range(3):
            bands[band] += (levels[band] - levels[band + 1]) ** 2
    bands = np.sqrt(bands / len(image))
    return np.stack([cv2.GaussianBlur(b, (0, 0), 1.5) for b in bands])


def coarse_normals(mean: np.ndarray, frame: np.ndarray, triangles: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Surface normals (x, y; z = sqrt(1 - x2 - y2)) at quarter size from the mean depth: (2, 64, 52)."""
    depth = with_ring(mean)[:, 2]
    outline = np.arange(MESH + IRIS, len(frame))
    depth[outline] = np.maximum(depth[outline], depth[[127, 356]].mean())
    target = np.concatenate([frame[triangles], np.ones((len(triangles), 3, 1))], axis=2)
    plane = np.linalg.solve(target, depth[triangles][..., None])[..., 0]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    p = plane[np.maximum(index, 0)]
    z = np.where(index >= 0, xs * p[..., 0] + ys * p[..., 1] + p[..., 2], depth[outline].mean())
    scale = np.linalg.norm(frame[454] - frame[234])
    z = cv2.GaussianBlur((z * scale).astype(np.float32), (0, 0), 4)
    gx, gy = cv2.Sobel(z, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(z, cv2.CV_32F, 0, 1) / 8
    length = np.sqrt(gx**2 + gy**2 + 1)
    # z grows backwards, so a surface that recedes to the right faces right.
    normals = np.stack([gx / length, gy / length])
    return np.stack([cv2.resize(n, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA) for n in normals])
