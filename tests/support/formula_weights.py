"""Weights and images given by formulas, so that two programs can be compared without a trained file."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor


def formula_tensor(key: str, shape: tuple[int, ...], gain: float = 1.0) -> Tensor:
    """A sine over the flat index, whose phase follows from the key, on the scale of what the key names.

    Args:
        key: name of the tensor in the state dict of the official program.
        shape: its shape.
        gain: factor on tensors of two or more dimensions.
    """
    count = math.prod(shape)
    phase = (zlib.crc32(key.encode()) % 10007) / 10007 * 2 * math.pi
    index = np.arange(count, dtype=np.float64)
    wave = np.sin(index * 0.7390851 + phase) * np.cos(index * 0.0137 + 2 * phase)
    return _scaled(key, shape, wave, gain, variance=0.1, spread=2.0, bias=0.02)


def noise_tensor(key: str, shape: tuple[int, ...], gain: float = 1.0) -> Tensor:
    """A hash of the flat index and the key, on the scale of what the key names; images keep apart in deep networks.

    Args:
        key: name of the tensor in the state dict of the official program.
        shape: its shape.
        gain: factor on tensors of two or more dimensions.
    """
    count = math.prod(shape)
    mask = np.uint64(2**32 - 1)
    start = np.uint64(zlib.crc32(key.encode()) * 40503 % 2**32)
    hashed = np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + start & mask
    for factor, shift in ((2246822519, 16), (3266489917, 13)):
        hashed = (hashed ^ hashed >> np.uint64(shift)) * np.uint64(factor) & mask
    noise = (hashed ^ hashed >> np.uint64(16)).astype(np.float64) / 2**31 - 1
    return _scaled(key, shape, noise, gain, variance=0.2, spread=6.0, bias=0.05)


def _scaled(
    key: str, shape: tuple[int, ...], values: np.ndarray, gain: float, *, variance: float, spread: float, bias: float
) -> Tensor:
    """Values around 0 on the scale of what a key names: running variance, matrix or kernel, weight of a norm, bias."""
    last = key.rpartition(".")[2]
    if last == "running_var":
        values = 1.0 + variance * np.abs(values)
    elif len(shape) >= 2:
        values = gain * values * math.sqrt(spread * shape[0] / len(values))
    elif last == "weight":
        values = 1.0 + 0.1 * values
    else:
        values = bias * values
    return torch.from_numpy(values.reshape(shape)).float()


def formula_state(
    shapes: Mapping[str, tuple[int, ...]],
    gain: float = 1.0,
    formula: Callable[[str, tuple[int, ...], float], Tensor] = formula_tensor,
) -> dict[str, Tensor]:
    """A state dict of :func:`formula_tensor` or :func:`noise_tensor`; the counters of batch norm are 0."""
    return {
        name: torch.zeros((), dtype=torch.int64) if name.endswith("num_batches_tracked") else formula(name, shape, gain)
        for name, shape in shapes.items()
    }


def key_digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The first 16 digits of the SHA-256 of names and shapes, by which a list of official keys is known."""
    text = "\n".join(sorted(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def formula_images(size: int, count: int = 2) -> Tensor:
    """RGB in [0,1], (count, 3, size, size): smooth, coloured, not symmetric."""
    y, x = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    planes = [
        [
            0.5
            + 0.35 * np.sin(0.11 * x * (c + 1) / 2 + 0.05 * y + k)
            + 0.15 * np.cos(0.23 * y - 0.07 * x * (k + 1) + c)
            for c in range(3)
        ]
        for k in range(count)
    ]
    return torch.from_numpy(np.clip(np.asarray(planes), 0, 1)).float()
