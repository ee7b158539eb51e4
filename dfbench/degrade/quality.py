"""How far a degraded picture is from the untouched one."""

from __future__ import annotations

import math

import numpy as np

from dfbench.degrade.base import Image


def psnr(image: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal pictures.

    >>> grey = np.full((4, 4, 3), 100, np.uint8)
    >>> round(psnr(grey + np.uint8(16), grey), 2)
    24.05
    """
    error = float(np.mean((image.astype(np.float64) - reference) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
