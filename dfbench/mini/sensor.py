"""The camera: lens blur, fixed pattern noise, shot noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import Floats
from dfbench.mini.streams import stream


@dataclass(frozen=True, eq=False)
class Sensor:
    """One clip's camera: lens blur (sigma, pixels), fixed gain of each pixel (H, W), noise level and its source."""

    blur: float
    pattern: Floats
    noise: float
    rng: np.random.Generator

    def expose(self, image: Floats) -> NDArray[np.uint8]:
        """One frame (H, W, 3) uint8; noise is drawn anew for every frame, in order."""
        seen = cv2.GaussianBlur(image, (3, 3), self.blur) * self.pattern[..., None]
        luma = self.rng.standard_normal(seen.shape[:2], dtype=np.float32)[..., None]
        colour = self.rng.standard_normal(seen.shape, dtype=np.float32)
        level = np.float32(self.noise) * np.sqrt(np.clip(seen, 4, 255) / 110)
        noisy = np.rint(seen + level * (0.8 * luma + 0.6 * colour))
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def make_sensor(name: str, seed: int, width: int, height: int) -> Sensor:
    """The camera of a clip: blur .35-.6, pattern noise 1.8 %, shot noise 1.4-3.2 at grey level 110."""
    rng = stream(name, "sensor", seed)
    pattern = 1 + 0.018 * stream(name, "pattern noise", seed).standard_normal((height, width), dtype=np.float32)
    return Sensor(
        float(rng.uniform(0.35, 0.6)),
        pattern.astype(np.float32),
        float(rng.uniform(1.4, 3.2)),
        stream(name, "shot noise", seed),
    )
