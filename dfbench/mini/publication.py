"""What publishing a clip does to it: another framing, exposure and grain for each file.

Real clips and fakes go through the same steps with the same values, dealt in different orders. A fake is not its
original's twin outside the face then: two uploads of one film are not either.
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
TILT = 2.0
"""Largest turn of the picture, degrees."""
SHIFT = 0.015
"""Largest shift of the picture in each direction, as a share of its longer side."""
MARGIN = 0.05
"""How far the master reaches beyond each side of the picture, as a share of its longer side: zoom, tilt and shift never
show its border (largest need: 0.0155 for the zoom, 0.0178 for the tilt, 0.015 for the shift)."""
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


@dataclass(frozen=True)
class Place:
    """A clip's place among its split's: ``number`` counts them from 0 to ``count`` - 1."""

    split: str
    number: int
    count: int


def draw_publication(name: str, place: Place, size: tuple[int, int], seed: int) -> Publication:
    """Draw how a file is published.

    Each value is dealt: its range is cut in as many equal parts as the split has clips, and each real gets a value from
    another part, in an order drawn at random; so does each of a method's fakes. Their means hardly differ by chance
    then (Latin hypercube sampling: McKay, Beckman and Conover 1979).

    Args:
        name: kind and name of the file: ``real/071``, ``Deepfakes/071_054``.
        place: the place of the clip, a fake's being its target's.
        size: width and height of the published picture.
        seed: the data set's seed.
    """
    kind = name.partition("/")[0]

    def uniform(purpose: str, low: float, high: float) -> float:
        rng = stream(f"published/{place.split}/{kind}", purpose, seed)
        dealt = (rng.permutation(place.count) + rng.random(place.count)) / place.count
        return low + (high - low) * float(dealt[place.number])

    levels = np.arange(256, dtype=np.float64) / 255
    gain, gamma = uniform("gain", 0.94, 1.06), uniform("gamma", 0.93, 1.07)
    shift = np.array([uniform("shift right", -SHIFT, SHIFT), uniform("shift down", -SHIFT, SHIFT)]) * max(size)
    angle = math.radians(uniform("tilt", -TILT, TILT))
    return Publication(
        size=size,
        matrix=_framing(size, 1 + uniform("zoom", -ZOOM, ZOOM), angle, shift),
        curve=np.asarray(255 * gain * levels**gamma, np.float32),
        grain=uniform("grain level", 0.0, 0.8),
        noise=stream(f"file/{name}", "grain", seed),
        keyframes=math.floor(uniform("keyframes", *KEYFRAMES)),
    )


def plain_publication(name: str, size: tuple[int, int], seed: int) -> Publication:
    """A file's way to the public where nothing is changed but the margin cut off; see :func:`draw_publication`."""
    return Publication(
        size=size,
        matrix=_framing(size, 1.0, 0.0, np.zeros(2)),
        curve=np.arange(256, dtype=np.float32),
        grain=0.0,
        noise=stream(f"file/{name}", "grain", seed),
        keyframes=KEYFRAMES[0],
    )


def _framing(size: tuple[int, int], zoom: float, angle: float, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map (2, 3) from the master to the picture: a similarity about the middle, then a shift."""
    turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([turn, middle - turn @ (middle + margin_of(size) + shift)])
