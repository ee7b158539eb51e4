"""What publishing a clip does to it: another framing, exposure and grain, drawn for each file on its own.

Real clips and fakes go through the same steps with values from the same distributions. A fake is not its original's
twin outside the face then: two uploads of one film are not either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import Floats
from dfbench.mini.shape import Placed
from dfbench.mini.streams import stream

ZOOM = 0.03
"""Largest change of scale, as a share."""
TILT = 0.8
"""Largest turn of the picture, degrees."""
SHIFT = 0.015
"""Largest shift of the picture in each direction, as a share of its longer side."""
MARGIN = 0.04
"""How far the master reaches beyond each side of the picture, as a share of its longer side: zoom, tilt and shift never
show its border (largest need: 0.0155 for the zoom, 0.0071 for the tilt, 0.015 for the shift)."""
KEYFRAMES = (5, 25)
"""Shortest keyframe interval of a file, and one more than the longest, in frames."""


def margin_of(size: tuple[int, int]) -> int:
    """Pixels by which a clip's master is larger at each side than the published picture (width, height)."""
    return math.ceil(MARGIN * max(size))


@dataclass(frozen=True, eq=False)
class Publication:
    """One file's way to the public.

    ``matrix`` (2, 3) float64 maps pixels of the master to pixels of the picture of ``size`` (width, height);
    ``curve`` (256,) float32 is the new grey level of each old one; ``grain`` is a standard deviation in grey
    levels, ``noise`` where it comes from; ``keyframes`` is the interval in frames.
    """

    size: tuple[int, int]
    matrix: NDArray[np.float64]
    curve: Floats
    grain: float
    noise: np.random.Generator
    keyframes: int

    def picture(self, master: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The published picture (height, width, 3) uint8 of a frame of the master; frames must come in order."""
        seen = cv2.warpAffine(
            self.curve[master], self.matrix, self.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        noise = self.noise.standard_normal(seen.shape[:2], dtype=np.float32)[..., None]
        return np.asarray(np.clip(np.rint(seen + np.float32(self.grain) * noise), 0, 255), np.uint8)

    def points(self, placed: Placed) -> Placed:
        """Points of the master as they lie in the published picture."""
        xy = placed.xy.astype(np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return Placed(xy.astype(np.float32), placed.depth)


def draw_publication(name: str, size: tuple[int, int], seed: int) -> Publication:
    """Draw how the file ``name`` (``real/071``, ``Deepfakes/071_054``) is published.

    Args:
        name: the file's name; another name is another, independent draw.
        size: width and height of the published picture.
        seed: the data set's seed.
    """
    name = f"file/{name}"
    rng = stream(name, "exposure", seed)
    gain, gamma = float(rng.uniform(0.94, 1.06)), float(rng.uniform(0.93, 1.07))
    levels = np.arange(256, dtype=np.float64) / 255
    return Publication(
        size=size,
        matrix=_framing(stream(name, "framing", seed), size),
        curve=np.asarray(255 * gain * levels**gamma, np.float32),
        grain=float(stream(name, "grain level", seed).uniform(0.0, 0.8)),
        noise=stream(name, "grain", seed),
        keyframes=int(stream(name, "keyframes", seed).integers(*KEYFRAMES)),
    )


def _framing(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """The map (2, 3) from the master to the picture: a similarity about the middle, then a shift."""
    zoom, angle = 1 + rng.uniform(-ZOOM, ZOOM), math.radians(rng.uniform(-TILT, TILT))
    shift = rng.uniform(-SHIFT, SHIFT, 2) * max(size)
    turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([turn, middle - turn @ (middle + margin_of(size) + shift)])
