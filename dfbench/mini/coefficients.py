"""The coefficients of an invented face, given its identity number.

The rule is implemented here down to the bits, because the model file lists numbers that it refuses: the same number
must give the same face with every version of NumPy. ``tools/fit_face_model.py`` loads this file on its own, so it does
not import dfbench.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

SPREAD = 0.8
"""Standard deviation of a coefficient, in standard deviations of the portraits: nearer the mean than a real face."""
LIMIT = 1.7
"""Largest magnitude of a coefficient, in the same unit."""


def _uniform(number: int, count: int) -> list[float]:
    """Return ``count`` numbers in (0, 1) from BLAKE2b of the identity number."""
    values: list[float] = []
    block = 0
    while len(values) < count:
        digest = hashlib.blake2b(f"nobody\0{number}\0{block}".encode(), digest_size=64).digest()
        words = (int.from_bytes(digest[i : i + 8], "little") for i in range(0, 64, 8))
        values.extend(((word >> 11) + 0.5) / 2.0**53 for word in words)
        block += 1
    return values[:count]


def coefficients(number: int, components: int) -> np.ndarray:
    """Return the coefficients of invented person ``number``: (components,) float64, N(0, 0.8) clipped at +-1.7.

    The first coefficients do not depend on their number. Normal numbers by Box and Muller (1958).
    """
    uniform = _uniform(number, components + components % 2)
    values: list[float] = []
    for first, second in zip(uniform[0::2], uniform[1::2], strict=True):
        radius = math.sqrt(-2.0 * math.log(first))
        values += [radius * math.cos(2 * math.pi * second), radius * math.sin(2 * math.pi * second)]
    return np.clip(SPREAD * np.array(values[:components]), -LIMIT, LIMIT)
