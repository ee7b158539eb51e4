"""Fit the statistical face model of the mini data set: portraits in, one small npz file out.

For maintainers; users of dfbench never run it. It needs an environment of its own with
``mediapipe==0.10.14 numpy scipy opencv-python`` (the landmark and segmentation models are inside that wheel)::

    python tools/fit_face_model.py --portraits DIR --out dfbench/mini/nobody_faces.npz

``DIR`` holds ``images/*.jpg`` and ``index.csv`` (columns ``file``, ``id``): 207 public-domain portraits from the
U.S. Government Publishing Office's Member Guide. What leaves this program are population statistics: a mean, a
smile direction, ``K`` principal directions of shape and texture with their standard deviations, and maps of how strong
fine detail is. No portrait and no person's coefficients are written. People who would dominate a direction
(more than 10 % of its variance) are dropped and the model is fitted anew; identity numbers whose coefficients
point towards a portrait (cosine above 0.5) are listed as refused. See docs/mini.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay

WIDTH, HEIGHT = 208, 256
"""Size of the texture frame, pixels."""
MESH, IRIS, RAYS = 468, 10, 26
"""Points of the face mesh, of the two irises, and of the head's silhouette."""
ANCHOR = 168
"""Mesh point between the eyes, from which silhouette and outer ring are measured."""
GLASSES_KEPT = 0.70
"""Share of portraits kept by the glasses score."""
LEVERAGE_LIMIT = 0.10
COSINE_LIMIT = 0.50
IDENTITY_NUMBERS = 65536
HAIR_WEIGHT, CHROMA_WEIGHT, SHAPE_SHARE = 0.6, 2.0, 0.5

EXCLUDED = ("H001045", "L000553")
"""Portraits left out after the fixed glasses rule, by file id (both wear glasses)."""

SYMMETRIC_PAIRS = ((33, 263), (133, 362), (61, 291), (234, 454), (127, 356), (172, 397), (70, 300), (98, 327))
JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, *JAW, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip


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


@dataclass(frozen=True)
class Fit:
    """A joint linear model of shape and texture, with the scores of its training rows (never stored)."""

    mean_shape: np.ndarray
    smile_shape: np.ndarray
    mean_texture: np.ndarray
    smile_texture: np.ndarray
    shape: np.ndarray
    texture: np.ndarray
    scores: np.ndarray
    residual: np.ndarray
    kept: float


def fit(shapes: np.ndarray, textures: np.ndarray, smile: np.ndarray, weights: np.ndarray, k: int) -> Fit:
    """Regress on the smile, then principal components of the residuals, scaled to one standard deviation.

    Args:
        shapes: (rows, 1512) in face widths.
        textures: (rows, texels) in grey levels.
        smile: (rows,) expression, sd 1.
        weights: (texels,) importance of each texel.
        k: number of components.
    """
    design = np.stack([np.ones_like(smile), smile], axis=1)
    shape_line = np.linalg.lstsq(design, shapes, rcond=None)[0]
    texture_line = np.linalg.lstsq(design, textures, rcond=None)[0]
    left_shape, left_texture = shapes - design @ shape_line, textures - design @ texture_line
    luma = HEIGHT * WIDTH
    spread = (left_texture[:, :luma] * weights[:luma]).var(0).sum()
    gain = np.sqrt(SHAPE_SHARE * spread / left_shape.var(0).sum())
    joint = np.concatenate([left_shape * gain, left_texture * weights], axis=1)
    values, vectors = np.linalg.eigh(joint @ joint.T)
    order = np.argsort(values)[::-1][:k]
    u = vectors[:, order]
    # Signs of eigenvectors are arbitrary: fix them by the largest entry.
    u = u * np.sign(u[np.abs(u).argmax(0), np.arange(k)])
    sigma = np.sqrt(values[order] / len(joint))
    scores = u * np.sqrt(len(joint))
    return Fit(
        *shape_line,
        *texture_line,
        shape=(scores.T @ left_shape) / len(joint),
        texture=(scores.T @ left_texture) / len(joint),
        scores=scores,
        residual=left_texture - scores @ ((scores.T @ left_texture) / len(joint)),
        kept=float((sigma**2).sum() * len(joint) / values.sum()),
    )


def leverage(scores: np.ndarray, people: int) -> np.ndarray:
    """Share of each component's variance that each person carries: (people, K)."""
    squares = scores**2
    return (squares[:people] + squares[people:]) / squares.sum(0)


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


def load_identity_rule() -> object:
    """``dfbench/mini/coefficients.py`` by its path: the rule that turns an identity number into coefficients."""
    path = Path(__file__).resolve().parent.parent / "dfbench" / "mini" / "coefficients.py"
    spec = importlib.util.spec_from_file_location("mini_coefficients", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["mini_coefficients"] = module
    spec.loader.exec_module(module)
    return module


def refused_numbers(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which identity numbers point towards a training row: (IDENTITY_NUMBERS,) bool, and all their cosines."""
    rule = load_identity_rule()
    unit = scores / np.linalg.norm(scores, axis=1, keepdims=True)
    nearest = np.empty(IDENTITY_NUMBERS)
    for start in range(0, IDENTITY_NUMBERS, 4096):
        block = np.stack([rule.coefficients(n, scores.shape[1]) for n in range(start, start + 4096)])
        block = block / np.linalg.norm(block, axis=1, keepdims=True)
        nearest[start : start + 4096] = (block @ unit.T).max(1)
    return nearest > COSINE_LIMIT, nearest


def quantise(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 rows and one float32 scale a row."""
    scale = np.abs(rows).max(axis=1) / 127
    return np.round(rows / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An npz whose bytes depend on its content alone (fixed dates, fixed order)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, value in sorted(arrays.items()):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(value), allow_pickle=False)
            info = zipfile.ZipInfo(name + ".npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue(), compresslevel=9)
    temporary.replace(path)


def build(portraits: list[Portrait], k: int) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """The arrays of the model file and a report for the maintainer."""
    shapes, perm = align(portraits)
    smile = expression(shapes)
    mirrored = (shapes * [-1, 1, 1])[:, perm]
    both = np.concatenate([shapes, mirrored]).reshape(2 * len(shapes), -1)
    design = np.stack([np.ones(2 * len(smile)), np.tile(smile, 2)], axis=1)
    line = np.linalg.lstsq(design, both, rcond=None)[0].reshape(2, -1, 3)
    frame = texture_frame(line[0] - 1.5 * line[1])
    triangles = triangulate(frame)
    index = triangle_index(frame, triangles)

    outline = np.concatenate([frame[MESH + IRIS : MESH + IRIS + RAYS], frame[list(JAW)]])
    inside = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.round(outline).astype(np.int32)], 1) > 0
    stored = cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))) > 0
    oval = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.round(frame[list(OVAL)]).astype(np.int32)], 1) > 0
    half = cv2.resize(stored.astype(np.uint8), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) > 0

    rows = []
    for portrait in portraits:
        texture = fill_outside(unwrap(portrait, frame, triangles, index), inside)
        for image in (texture, texture[:, ::-1]):
            y, cr, cb = cv2.split(cv2.cvtColor(np.clip(image, 0, 255) / 255, cv2.COLOR_BGR2YCrCb) * 255)
            small = [cv2.resize(c, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) for c in (cr, cb)]
            rows.append(np.concatenate([y.ravel(), *(s.ravel() for s in small)]))
    textures = np.stack(rows[0::2] + rows[1::2])
    zone = np.where(oval, 1.0, HAIR_WEIGHT) * stored
    small_zone = cv2.resize(zone, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    weights = np.concatenate([zone.ravel(), np.tile(CHROMA_WEIGHT * small_zone.ravel(), 2)])

    chosen, dropped = np.arange(len(portraits)), []
    while True:
        twice = np.concatenate([chosen, len(portraits) + chosen])
        model = fit(both[twice], textures[twice], np.tile(smile[chosen], 2), weights, k)
        share = leverage(model.scores, len(chosen))
        heavy = np.flatnonzero(share.max(1) > LEVERAGE_LIMIT)
        if not heavy.size:
            break
        worst = heavy[share[heavy].max(1).argmax()]
        dropped.append(portraits[chosen[worst]].name)
        chosen = np.delete(chosen, worst)

    refused, nearest = refused_numbers(model.scores)
    luma = HEIGHT * WIDTH
    chroma = np.tile(half.ravel(), 2)
    by, by_scale = quantise(model.texture[:, :luma][:, stored.ravel()])
    bc, bc_scale = quantise(model.texture[:, luma:][:, chroma])
    sy, sy_scale = quantise(model.smile_texture[None, :luma][:, stored.ravel()])
    sc, sc_scale = quantise(model.smile_texture[None, luma:][:, chroma])
    bands = detail_maps(model.residual)
    normals = coarse_normals(model.mean_shape.reshape(-1, 3), frame, triangles, index)
    note = {
        "origin": "207 public-domain portraits, U.S. Government Publishing Office, Member Guide",
        "people": len(chosen),
        "components": k,
        "leverage_limit": LEVERAGE_LIMIT,
        "largest_leverage": round(float(share.max()), 4),
        "cosine_limit": COSINE_LIMIT,
        "identity_numbers": IDENTITY_NUMBERS,
        "variance_kept": round(model.kept, 4),
    }
    arrays = {
        "mean_shape": model.mean_shape.reshape(-1, 3).astype(np.float32),
        "smile_shape": model.smile_shape.reshape(-1, 3).astype(np.float32),
        "shape": model.shape.reshape(k, -1, 3).astype(np.float16),
        "mean_luma": np.round(model.mean_texture[:luma]).reshape(HEIGHT, WIDTH).astype(np.uint8),
        "mean_chroma": np.round(model.mean_texture[luma:]).reshape(2, HEIGHT // 2, WIDTH // 2).astype(np.uint8),
        "luma": by, "luma_scale": by_scale, "chroma": bc, "chroma_scale": bc_scale,
        "smile_luma": sy[0], "smile_luma_scale": sy_scale, "smile_chroma": sc[0], "smile_chroma_scale": sc_scale,
        "stored": np.packbits(stored), "stored_half": np.packbits(half),
        "detail": np.clip(np.round(bands * 16), 0, 255).astype(np.uint8),
        "normals": np.round(normals * 127).astype(np.int8),
        "frame": frame.astype(np.float32),
        "triangles": triangles.astype(np.uint16),
        "refused": np.packbits(refused),
        "note": np.frombuffer(json.dumps(note, sort_keys=True).encode(), np.uint8),
    }  # fmt: skip
    unit = model.scores / np.linalg.norm(model.scores, axis=1, keepdims=True)
    between = unit @ unit.T
    people = np.tile(np.arange(len(chosen)), 2)
    between[people[:, None] == people[None, :]] = -1
    report = {
        **note,
        "dropped": dropped,
        "refused_share": round(float(refused.mean()), 4),
        "cosine_sample_median_max_accepted": [
            round(float(np.median(nearest[~refused])), 3), round(float(nearest[~refused].max()), 3),
        ],
        "cosine_between_people_median_max": [
            round(float(np.median(between.max(1))), 3), round(float(between.max()), 3),
        ],
        "pixels_per_face_width": round(float(np.linalg.norm(frame[454] - frame[234])), 1),
        "triangles": len(triangles),
    }  # fmt: skip
    return arrays, report


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--portraits", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets of the portraits kept and left out")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    everyone = read_portraits(options.portraits)
    kept = without_glasses(everyone)
    if options.sheet:
        names = {p.name for p in kept}
        for title, group in (("kept", kept), ("left_out", [p for p in everyone if p.name not in names])):
            cells = [cv2.resize(p.image[60:460], (90, 80), interpolation=cv2.INTER_AREA) for p in group]
            for cell, p in zip(cells, group, strict=True):
                cv2.putText(cell, p.name, (2, 78), 0, 0.35, (0, 255, 255), 1, cv2.LINE_AA)
            cells += [np.zeros_like(cells[0])] * (-len(cells) % 14)
            grid = np.vstack([np.hstack(cells[i : i + 14]) for i in range(0, len(cells), 14)])
            cv2.imwrite(str(options.sheet / f"portraits_{title}.png"), grid)
    arrays, report = build(kept, options.components)
    save(options.out, arrays)
    report["bytes"] = options.out.stat().st_size
    report["sha256"] = hashlib.sha256(options.out.read_bytes()).hexdigest()
    print(json.dumps({"found": len(everyone), "without_glasses": len(kept), **report}, indent=2))


if __name__ == "__main__":
    main()
