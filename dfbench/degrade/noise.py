"""Noise. Drawn from the sample's id, so that a picture gets the same noise in any order and on any worker.

It is drawn alike for every strength: a higher severity is the same noise, stronger.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from dfbench.degrade.base import Degradation, Draw, Image, Parameter, Values

MOST_TABLED = 100
"""Photons at full white up to which tables of the Poisson distribution are faster than a generator's own numbers."""


def gaussian_noise(image: Image, values: Values, draw: Draw) -> Image:
    """Additive white noise, each channel by itself, rounded and clipped."""
    noise = draw().standard_normal(image.shape, np.float32)
    noisy = image + np.float32(values["sigma"]) * noise
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def shot_noise(image: Image, values: Values, draw: Draw) -> Image:
    """Poisson noise: every pixel counts photons, ``scale`` of them at full white."""
    scale = float(values["scale"])
    if scale <= MOST_TABLED:
        photons = poisson_counts(image.ravel(), scale, draw().random(image.size)).reshape(image.shape)
    else:
        photons = draw().poisson(image * (scale / 255))
    return np.asarray(np.clip(np.rint(photons * (255 / scale)), 0, 255), np.uint8)


def poisson_counts(levels: NDArray[np.uint8], scale: float, chances: NDArray[np.float64]) -> NDArray[np.intp]:
    """Photons of each grey level (N,), by the inverse of the distribution at chances (N,) in [0,1).

    Three times as fast as a generator's own Poisson numbers, since there are 256 means only.
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
    """Probability of at most so many photons, (256, K), and where to begin to look in it for a chance, (256, 256)."""
    means = np.arange(256) * (scale / 255)
    most = math.ceil(scale + 10 * math.sqrt(scale) + 20)
    below = np.asarray(pdtr(np.arange(most), means[:, None]), np.float64)
    below[:, -1] = 1.0
    steps = np.arange(256) / 256
    return below, np.stack([np.searchsorted(row, steps, side="right") for row in below])


def salt_pepper(image: Image, values: Values, draw: Draw) -> Image:
    """Whole pixels turn white or black, half of them each."""
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
    summary="Poisson noise of counted photons",
    parameters=(Parameter("scale", "photons at full white", 25, 0.5, 10000),),
    levels=(60, 25, 12, 5, 3),
    rule="the levels of ImageNet-C",
    source=_IMAGENET_C,
    on_image=shot_noise,
)
SALT_PEPPER = Degradation(
    name="salt-pepper",
    group="noise",
    summary="pixels turned white or black",
    parameters=(Parameter("p", "share of the pixels", 0.05, 0.0001, 1),),
    levels=(0.03, 0.06, 0.09, 0.17, 0.27),
    rule="the levels of ImageNet-C's impulse noise",
    source=_IMAGENET_C + ", which strikes channels; here whole pixels",
    on_image=salt_pepper,
)
