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
Reading portraits, aligning shapes and unwrapping textures are in ``face_portraits.py``, ``face_shapes.py`` and
``face_textures.py`` beside this file.
"""

from __future__ import annotations

import argparse
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
from face_portraits import IRIS, MESH, RAYS, Portrait, read_portraits, without_glasses
from face_shapes import align, expression
from face_textures import (
    HEIGHT,
    JAW,
    WIDTH,
    coarse_normals,
    detail_maps,
    fill_outside,
    texture_frame,
    triangle_index,
    triangulate,
    unwrap,
)

LEVERAGE_LIMIT = 0.10
COSINE_LIMIT = 0.50
IDENTITY_NUMBERS = 65536
HAIR_WEIGHT, CHROMA_WEIGHT, SHAPE_SHARE = 0.6, 2.0, 0.5
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, *JAW, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip


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
