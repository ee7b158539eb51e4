"""Points of a face in the image: identity, then expression, pose and perspective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dfbench.mini import facemodel as mesh
from dfbench.mini.facemodel import FaceModel, Floats, load_face_model

PERSPECTIVE = 0.12
"""Relative decrease of size per face width of depth."""
JAW_DROP = 0.115
"""Displacement of the lower lip at jaw = 1, in face widths."""
PIVOT = np.array([0.0, 0.45, 0.42], np.float32)
"""Centre of rotation of the head, in face widths from the point between the eyes."""

_UPPER, _LOWER = np.array(mesh.UPPER_INNER), np.array(mesh.LOWER_INNER)
_LIDS = tuple((np.array(lid), np.array(low), np.array(fold)) for _, _, lid, low, fold in mesh.EYES)
_OUTLINE = np.array([*range(mesh.MESH + mesh.IRIS, mesh.POINTS), *mesh.JAW])


@dataclass(frozen=True)
class Expression:
    """Facial expression in one frame; all values are dimensionless, 0 is neutral.

    ``smile`` is in standard deviations of the portraits, ``jaw``, ``blink`` and ``brow`` run from 0 to 1,
    ``gaze`` is the iris shift in iris radii (x, y).
    """

    smile: float = -0.5
    jaw: float = 0.0
    blink: float = 0.0
    brow: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Pose:
    """Pose of the head in one frame: angles in degrees, position of the anchor and face width in pixels."""

    yaw: float
    pitch: float
    roll: float
    x: float
    y: float
    width: float


@dataclass(frozen=True, eq=False)
class Placed:
    """Points in the image: ``xy`` (547, 2) pixels, ``depth`` (547,) face widths; the last 43 are the outer ring."""

    xy: Floats
    depth: Floats


@lru_cache(maxsize=1)
def _movement() -> tuple[Floats, Floats]:
    """Return how far each point follows jaw and brows: two (504,) arrays, interpolated from landmarks (Shepard)."""
    mean = load_face_model().mean_shape[:, :2]
    jaw = dict.fromkeys((*mesh.LOWER_INNER, *mesh.LOWER_OUTER), 1.0)
    jaw |= dict.fromkeys((*mesh.UPPER_INNER, *mesh.UPPER_OUTER), -0.12)
    jaw |= dict.fromkeys((*mesh.LIP_CORNERS, *mesh.INNER_CORNERS), 0.15)
    jaw |= dict.fromkeys((152, 148, 176, 377, 400, 175, 199, 200), 0.75)
    jaw |= {149: 0.62, 378: 0.62, 150: 0.5, 379: 0.5, 136: 0.4, 365: 0.4, 172: 0.3, 397: 0.3, 58: 0.12, 288: 0.12}
    still = (1, 2, 4, 98, 327, 33, 133, 263, 362, 234, 454, 127, 356, 93, 323, 132, 361, 10, 205, 425, 50, 280, 168, 6)
    jaw |= dict.fromkeys(still, 0.0)
    brow = dict.fromkeys(mesh.BROWS, 1.0)
    brow |= dict.fromkeys((10, 151, 109, 338, 67, 297), 0.35)
    lids = [i for eye in mesh.EYES for i in (eye[0], eye[1], *eye[2], *eye[3])]
    brow |= dict.fromkeys((*lids, 6, 197, 234, 454, 127, 356, 50, 280, 1), 0.0)
    brow |= {i: 0.45 for eye in mesh.EYES for i in eye[4]}
    return _interpolated(mean, jaw), _interpolated(mean, brow)


def _interpolated(xy: Floats, known: dict[int, float]) -> Floats:
    positions = xy[list(known)]
    values = np.array(list(known.values()), np.float32)
    squared = ((xy[:, None] - positions[None]) ** 2).sum(-1) + 1e-6
    weight = 1.0 / squared**2
    result = (weight @ values) / weight.sum(1)
    result[mesh.MESH + mesh.IRIS :] = 0.0
    result[list(known)] = values
    return np.asarray(result, np.float32)


def expressed(model: FaceModel, identity: Floats, face: Expression) -> Floats:
    """Return the shape (504, 3) of a person with an expression; ``identity`` is the neutral shape."""
    points = identity + np.float32(face.smile) * model.smile_shape
    jaw, brow = _movement()
    points[:, 1] += np.float32(JAW_DROP * face.jaw) * jaw - np.float32(0.035 * face.brow) * brow
    points[:, 2] += np.float32(0.03 * face.jaw) * np.clip(jaw, 0, 1)
    # The lips must not cross.
    overlap = np.maximum(points[_UPPER, 1] - points[_LOWER, 1] + 0.006, 0)
    points[_UPPER, 1] -= overlap / 2
    points[_LOWER, 1] += overlap / 2
    if face.blink > 0:
        for lid, low, fold in _LIDS:
            way = points[low] - points[lid]
            points[lid] += np.float32(0.92 * face.blink) * way
            points[fold] += np.float32(0.35 * face.blink) * way
    return points


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) from angles in degrees (roll after pitch after yaw)."""
    a, b, c = np.deg2rad([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn)


def project(points: Floats, pose: Pose) -> Placed:
    """Project a shape (504, 3) into the image and append the outer ring."""
    matrix = rotation(pose.yaw, pose.pitch, pose.roll).astype(np.float32)
    turned = (points - PIVOT) @ matrix.T + PIVOT
    near = 1.0 / (1.0 + PERSPECTIVE * turned[:, 2:])
    xy = turned[:, :2] * near * np.float32(pose.width) + np.array([pose.x, pose.y], np.float32)
    ring = xy[mesh.ANCHOR] + np.float32(1.12) * (xy[_OUTLINE] - xy[mesh.ANCHOR])
    return Placed(
        np.concatenate([xy, ring]).astype(np.float32, copy=False),
        np.append(turned[:, 2], turned[_OUTLINE, 2]).astype(np.float32, copy=False),
    )


def five_points(xy: Floats) -> Floats:
    """Return the five standard points (5, 2): image-left eye, image-right eye, nose tip, mouth corners."""
    return xy[list(mesh.FIVE)].astype(np.float32)


def face_box(xy: Floats) -> Floats:
    """Return the box (4,) x1 y1 x2 y2 around the face mesh (chin to upper forehead, without hair and ears)."""
    face = xy[: mesh.MESH]
    return np.concatenate([face.min(0), face.max(0)]).astype(np.float32)
