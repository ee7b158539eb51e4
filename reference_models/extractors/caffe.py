"""Habits of Caffe that AMTENnet and MISLnet were published with: Xavier by the fan-in, pooling that rounds up."""

from __future__ import annotations

from torch import Tensor, nn


def caffe_xavier_(weight: Tensor) -> Tensor:
    """Fill in place from the uniform distribution on +-sqrt(3 / fan-in), Caffe's ``xavier`` filler."""
    return nn.init.kaiming_uniform_(weight, nonlinearity="linear")


def pooled_size(size: int) -> int:
    """Side of a map after 3x3 pooling with stride 2, rounded up.

    >>> [pooled_size(n) for n in (128, 62, 29, 14, 7)]
    [64, 31, 14, 7, 3]
    """
    return max(0, -(-(size - 3) // 2) + 1)


def max_pool() -> nn.MaxPool2d:
    """Maximum over 3x3, stride 2, rounded up."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)
