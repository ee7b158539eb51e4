"""Light and camera of a clip: shading of the head's texture, lens blur, fixed pattern noise, shot noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import FaceModel, Floats
from dfbench.mini.settings import channel_noise, normals, stream


@dataclass(frozen=True)
class Light:
    """Light of a clip: direction towards it (unit vector x, y, z; z to the camera), strength 0..1, RGB tint, level."""

    direction: tuple[float, float, float]
    strength: float
    tint: tuple[float, float, float]
    level: float


def draw_light(name: str, seed: int) -> Light:
    """Return the random light of a clip."""
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
    """Return the factor (height, width, 3) by which the light multiplies the texture (Lambert, mean about one)."""
    nx, ny = (cv2.resize(plane, (model.width, model.height), interpolation=cv2.INTER_CUBIC) for plane in model.normals)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.05, 1))
    # Normals are stored with x to the right and y down; the light's y points down as well.
    dot = nx * light.direction[0] + ny * light.direction[1] + nz * light.direction[2]
    level = light.level * (1 + light.strength * (np.clip(dot, -0.2, 1) - 0.72) * 1.2)
    return np.asarray(level[..., None] * np.asarray(light.tint, np.float32), np.float32)


@dataclass(frozen=True, eq=False)
class Sensor:
    """Camera of a clip: lens blur (sigma in pixels), fixed gain of each pixel (H, W, 3), noise level and generator."""

    blur: float
    pattern: Floats
    noise: float
    rng: np.random.Generator

    def expose(self, image: Floats) -> NDArray[np.uint8]:
        """Return one frame (H, W, 3) uint8 with new noise; frames must come in order."""
        height, width = image.shape[:2]
        blurred = cv2.multiply(cv2.GaussianBlur(image, (3, 3), self.blur), self.pattern)
        noise = channel_noise(self.rng, height, width, common=0.8, own=0.6)
        level = cv2.sqrt(np.clip(blurred, 4, 255))
        change = cv2.multiply(noise, level, scale=self.noise / math.sqrt(110))
        return np.asarray(cv2.add(blurred, change, dtype=cv2.CV_8U), np.uint8)


def make_sensor(name: str, seed: int, width: int, height: int) -> Sensor:
    """Return the random camera of a clip: blur .35-.6, pattern noise 1.8 %, shot noise 1.4-3.2 at grey level 110."""
    rng = stream(name, "sensor", seed)
    pattern = 1 + np.float32(0.018) * normals(stream(name, "pattern noise", seed), height, width)
    return Sensor(
        float(rng.uniform(0.35, 0.6)),
        np.asarray(cv2.cvtColor(pattern, cv2.COLOR_GRAY2RGB), np.float32),
        float(rng.uniform(1.4, 3.2)),
        stream(name, "shot noise", seed),
    )
