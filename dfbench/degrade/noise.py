"""Noise, seeded by the sample's id, so that an image gets the same noise in any order and on any worker.

The random numbers do not depend on the strength: a higher severity is stronger noise of the same pattern.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

MAX_TABULATED = 100
"""Largest number of photons at full white for which tables are faster than the generator's Poisson numbers."""


def gaussian_noise(image: Image, values: Values, draw: Draw) -> Image:
    """Add white Gaussian noise to each channel, rounded and clipped."""
    noise = draw().standard_normal(image.shape, np.float32)
    noisy = image + np.float32(values["sigma"]) * noise
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def shot_noise(image: Image, values: Values, draw: Draw) -> Image:
    """Apply Poisson noise: every pixel counts photons, ``scale`` of them at full white."""
    scale = float(values["scale"])
    if scale <= MAX_TABULATED:
        photons = poisson_counts(image.ravel(), scale, draw().random(image.size)).reshape(image.shape)
    else:
        photons = draw().poisson(image * (scale / 255))
    return np.asarray(np.clip(np.rint(photons * (255 / scale)), 0, 255), np.uint8)


def poisson_counts(levels: NDArray[np.uint8], scale: float, chances: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return Poisson counts for grey levels (N,), by the inverse distribution at uniform numbers (N,) in [0,1).

    Three times as fast as the generator's Poisson numbers, because there are only 256 means.
    """
    below, begin = _tables(scale)
    photons = begin[levels, (chances * len(begin)).astype(np.intp)]
    behind = np.flatnonzero(below[levels, photons] <= chances)
    while len(behind):
        photons[behind] += 1
        behind = behind[below[levels[behind], photons[behind]] <= chances[behind]]
    return photons


@lru_cache(maxsize=8)
def _tables(scale: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the cumulative distributions (256, K) and the start of the search in them by uniform number (256, 256)."""
    from scipy.special import pdtr  # slow to load, and few of the processes that import this add noise

    means = np.arange(256) * (scale / 255)
    most = math.ceil(scale + 10 * math.sqrt(scale) + 20)
    below = np.asarray(pdtr(np.arange(most), means[:, None]), np.float64)
    below[:, -1] = 1.0
    steps = np.arange(256) / 256
    return below, np.stack([np.searchsorted(row, steps, side="right") for row in below])


def salt_pepper(image: Image, values: Values, draw: Draw) -> Image:
    """Set random pixels to white or black with equal probability."""
    chance = draw().random(image.shape[:2])
    struck = float(values["p"])
    result = image.copy()
    result[chance < struck / 2] = 0
    result[chance >= 1 - struck / 2] = 255
    return result


_IMAGENET_C = "ImageNet-C (Hendrycks and Dietterich 2019), imagenet_c/corruptions.py"

GAUSSIAN_NOISE = Degradation(
    name="gaussian-noise",
    group="noise",
    summary="additive white Gaussian noise in every channel",
    parameters=(Parameter("sigma", "standard deviation in grey levels", 8, 0.1, 128),),
    levels=(8, 11.4, 18, 25.5, 57),
    rule="the levels of DeeperForensics-1.0: variances of 0.001, 0.002, 0.005, 0.01, 0.05 of the squared range",
    source="DeeperForensics-1.0, perturbation/distortions.py, which adds it in YCbCr; here in RGB",
    on_image=gaussian_noise,
)
SHOT_NOISE = Degradation(
    name="shot-noise",
    group="noise",
    summary="Poisson noise of photon counts",
    parameters=(Parameter("scale", "photons at full white", 25, 0.5, 10000),),
    levels=(60, 25, 12, 5, 3),
    rule="the levels of ImageNet-C",
    source=_IMAGENET_C,
    on_image=shot_noise,
)
SALT_PEPPER = Degradation(
    name="salt-pepper",
    group="noise",
    summary="random pixels set to white or black",
    parameters=(Parameter("p", "fraction of the pixels", 0.05, 0.0001, 1),),
    levels=(0.03, 0.06, 0.09, 0.17, 0.27),
    rule="the levels of ImageNet-C's impulse noise",
    source=_IMAGENET_C + ", which affects single channels; here whole pixels",
    on_image=salt_pepper,
)
