"""Publication of a clip: framing, exposure and grain differ between files.

Real clips and fakes undergo the same steps with the same values in different orders, so that a fake differs from its
original outside the face too, as two uploads of one film do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dfbench.mini.facemodel import Floats
from dfbench.mini.settings import normals, stream
from dfbench.mini.shape import Placed

ZOOM = 0.03
"""Largest relative change of scale."""
TILT = 2.0
"""Largest rotation of the image in degrees."""
SHIFT = 0.015
"""Largest shift of the image in each direction, as a fraction of its longer side."""
MARGIN = 0.05
"""Margin of the master beyond each side of the image, as a fraction of its longer side: zoom, tilt and shift never
expose its border (they need at most 0.0155, 0.0178 and 0.015)."""
KEYFRAMES = (5, 25)
"""Shortest keyframe interval of a file, and one more than the longest, in frames."""


def margin_of(size: tuple[int, int]) -> int:
    """Return the margin in pixels of a clip's master at each side of the published image of this (width, height)."""
    return math.ceil(MARGIN * max(size))


@dataclass(frozen=True, eq=False)
class Publication:
    """How one file is published.

    ``matrix`` (2, 3) float64 maps pixels of the master to pixels of the image of ``size`` (width, height); ``curve``
    (256,) float32 maps grey levels; ``grain`` is a standard deviation in grey levels, ``noise`` its generator;
    ``keyframes`` is the interval in frames.
    """

    size: tuple[int, int]
    matrix: NDArray[np.float64]
    curve: Floats
    grain: float
    noise: np.random.Generator
    keyframes: int

    def image(self, master: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the published image (height, width, 3) uint8 of a frame of the master; frames must come in order."""
        exposed = cv2.LUT(master, self.curve)
        border = cv2.BORDER_REPLICATE
        warped = cv2.warpAffine(exposed, self.matrix, self.size, flags=cv2.INTER_CUBIC, borderMode=border)
        noise = cv2.cvtColor(normals(self.noise, *warped.shape[:2]), cv2.COLOR_GRAY2RGB)
        return np.asarray(cv2.addWeighted(warped, 1, noise, self.grain, 0, dtype=cv2.CV_8U), np.uint8)

    def points(self, placed: Placed) -> Placed:
        """Return points of the master in pixels of the published image."""
        xy = placed.xy.astype(np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return Placed(xy.astype(np.float32), placed.depth)


@dataclass(frozen=True)
class SplitPosition:
    """Position of a clip in its split: ``number`` counts from 0 to ``count`` - 1."""

    split: str
    number: int
    count: int


def draw_publication(name: str, position: SplitPosition, size: tuple[int, int], seed: int) -> Publication:
    """Return a random publication of a file.

    Values are drawn by Latin hypercube sampling (McKay, Beckman and Conover 1979): the range of a value is divided into
    as many equal parts as the split has clips, and every real gets a value from another part, in random order; so does
    every fake of a method. Their means then hardly differ by chance.

    Args:
        name: kind and name of the file: ``real/071``, ``Deepfakes/071_054``.
        position: position of the clip; that of a fake is its target's.
        size: width and height of the published image.
        seed: the data set's seed.
    """
    kind = name.partition("/")[0]

    def uniform(purpose: str, low: float, high: float) -> float:
        rng = stream(f"published/{position.split}/{kind}", purpose, seed)
        values = (rng.permutation(position.count) + rng.random(position.count)) / position.count
        return low + (high - low) * float(values[position.number])

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
    """Return the publication that only removes the margin; see :func:`draw_publication`."""
    return Publication(
        size=size,
        matrix=_framing(size, 1.0, 0.0, np.zeros(2)),
        curve=np.arange(256, dtype=np.float32),
        grain=0.0,
        noise=stream(f"file/{name}", "grain", seed),
        keyframes=KEYFRAMES[0],
    )


def _framing(size: tuple[int, int], zoom: float, angle: float, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the map (2, 3) from the master to the image: a similarity about the centre, then a shift."""
    turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([turn, middle - turn @ (middle + margin_of(size) + shift)])
