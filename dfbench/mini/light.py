"""The light of a clip: one direction, strength and tint, worked into the head's texture once a clip."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.streams import stream


@dataclass(frozen=True)
class Light:
    """Direction towards the light (unit vector x, y, z; z to the camera), strength 0..1, RGB tint, level."""

    direction: tuple[float, float, float]
    strength: float
    tint: tuple[float, float, float]
    level: float


def draw_light(name: str, seed: int) -> Light:
    """The light of a clip."""
    rng = stream(name, "light", seed)
    side, height = rng.uniform(-1, 1), rng.uniform(-0.7, 0.15)
    vector = np.array([side, height, 0.8])
    vector /= np.linalg.norm(vector)
    tint = 1 + rng.uniform(-0.06, 0.06, 3)
    return Light(
        (float(vector[0]), float(vector[1]), float(vector[2])),
        float(rng.uniform(0.15, 0.5)),
        (float(tint[0]), float(tint[1]), float(tint[2])),
        float(rng.uniform(0.88, 1.06)),
    )


def shading(model: FaceModel, light: Light) -> Floats:
    """Factor (height, width, 3) by which the light multiplies the texture (Lambert, mean about one)."""
    nx, ny = (cv2.resize(plane, (model.width, model.height), interpolation=cv2.INTER_CUBIC) for plane in model.normals)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.05, 1))
    # Normals are stored with x to the right and y down; the light's y points down as well.
    dot = nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2]
    level = light.level * (1 + light.strength * (np.clip(dot, -0.2, 1) - 0.72) * 1.2)
    return np.asarray(level[..., None] * np.asarray(light.tint, np.float32), np.float32)
