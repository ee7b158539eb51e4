"""Shapes of portraits in one frame, for ``fit_face_model.py``: alignment in 3D, mirror symmetry, expression."""

from __future__ import annotations

import numpy as np
from face_portraits import ANCHOR, IRIS, MESH, RAYS, Portrait
from scipy.optimize import linear_sum_assignment

SYMMETRIC_PAIRS = ((33, 263), (133, 362), (61, 291), (234, 454), (127, 356), (172, 397), (70, 300), (98, 327))


def similarity(moving: np.ndarray, fixed: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Least-squares scale, rotation and shift (Umeyama 1991) taking ``moving`` to ``fixed``; reflections excluded."""
    a, b = moving.mean(0), fixed.mean(0)
    u, s, vt = np.linalg.svd((fixed - b).T @ (moving - a))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = float(np.trace(np.diag(s) @ sign) / ((moving - a) ** 2).sum())
    return scale, rotation, b - scale * rotation @ a


def canonical(mean: np.ndarray) -> np.ndarray:
    """Mean shape turned to x right, y down, z back, face width 1, origin between the eyes."""
    x = sum(mean[b] - mean[a] for a, b in SYMMETRIC_PAIRS)
    x = x / np.linalg.norm(x)
    y = mean[152] - mean[10]
    y = y - (y @ x) * x
    y = y / np.linalg.norm(y)
    turned = (mean - mean[ANCHOR]) @ np.stack([x, y, np.cross(x, y)], axis=1)
    return turned / np.linalg.norm(turned[454] - turned[234])


def mirror_permutation(mean: np.ndarray) -> np.ndarray:
    """Which point each point becomes in a mirror: an optimal assignment, made an involution."""
    flipped = mean * [-1, 1, 1]
    cost = ((mean[:, None, :] - flipped[None, :, :]) ** 2).sum(-1)
    cost = cost + cost.T
    return linear_sum_assignment(cost)[1]


def align(portraits: list[Portrait]) -> tuple[np.ndarray, np.ndarray]:
    """Generalised Procrustes alignment in 3D: shapes (people, 504, 3) and the mirror permutation (504,)."""
    raw = np.stack([p.points for p in portraits])
    mean = canonical(raw[0])
    perm = np.arange(len(mean))
    for turn in range(6):
        shapes = []
        for points in raw:
            scale, rotation, shift = similarity(points[:MESH], mean[:MESH])
            shapes.append(scale * points @ rotation.T + shift)
        mean = canonical(np.mean(shapes, axis=0))
        if turn == 2:
            mesh, iris = mirror_permutation(mean[:MESH]), mirror_permutation(mean[MESH : MESH + IRIS])
            rays = np.arange(RAYS)[::-1]
            perm = np.concatenate([mesh, MESH + iris, MESH + IRIS + rays])
        if turn >= 2:
            mean = 0.5 * (mean + (mean * [-1, 1, 1])[perm])
    shapes = []
    for points in raw:
        scale, rotation, shift = similarity(points[:MESH], mean[:MESH])
        shapes.append(scale * points @ rotation.T + shift)
    return np.stack(shapes), perm


def expression(shapes: np.ndarray) -> np.ndarray:
    """How much each person smiles: first principal component of lip gap, mouth width and corner lift, sd 1."""
    gap = np.linalg.norm(shapes[:, 13] - shapes[:, 14], axis=1)
    wide = np.linalg.norm(shapes[:, 61] - shapes[:, 291], axis=1)
    lift = 0.5 * (shapes[:, 13, 1] + shapes[:, 14, 1]) - 0.5 * (shapes[:, 61, 1] + shapes[:, 291, 1])
    table = np.stack([gap, wide, lift], axis=1)
    table = (table - table.mean(0)) / table.std(0)
    direction = np.linalg.svd(table, full_matrices=False)[2][0]
    score = table @ (direction * np.sign(direction[1]))
    return score / score.std()
