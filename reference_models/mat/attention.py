"""Attention maps, and what is pooled by them."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MASK = 24
"""Side of the border mask: that of the attention map at 380 pixels, had its layers TensorFlow's padding."""
BORDER = 2
"""Width of the masked border."""
EPSILON = 1e-8


class AttentionModule(nn.Module):
    """Positive attention maps from a feature map.

    ``released``, as in the authors' program: 3x3 convolution, batch normalisation, ReLU, 1x1 convolution, batch
    normalisation, ELU + 1, and a border of zeros. ``paper``, as in the text: 1x1 convolution, batch normalisation,
    ReLU.

    Args:
        channels: of the feature map.
        maps: number of attention maps.
        form: ``released`` or ``paper``.
    """

    mask: Tensor

    def __init__(self, channels: int, maps: int, form: str = "released") -> None:
        super().__init__()
        self.form = form
        if form == "released":
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
            self.norm1 = nn.BatchNorm2d(channels)
            mask = torch.zeros(1, 1, MASK, MASK)
            mask[..., BORDER:-BORDER, BORDER:-BORDER] = 1.0
            self.register_buffer("mask", mask)
        self.conv2 = nn.Conv2d(channels, maps, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(maps)

    def forward(self, features: Tensor) -> Tensor:
        """N,C,h,w -> N,M,h,w, at least 0."""
        if self.form == "paper":
            return F.relu(self.norm2(self.conv2(features)))
        x = F.relu(self.norm1(self.conv1(features)))
        maps = F.elu(self.norm2(self.conv2(x))) + 1
        return maps * F.interpolate(self.mask, cast("list[int]", list(maps.shape[2:])), mode="nearest").to(maps.dtype)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps bilinearly with aligned corners; N,M,h,w -> N,M,H,W."""
    if tuple(maps.shape[2:]) == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", align_corners=True)


def bilinear_attention_pooling(features: Tensor, attention: Tensor) -> Tensor:
    """Return one vector for every attention map: the sum of the features weighted by it, of length 1.

    Args:
        features: N,C,H,W, which all maps share, or N,M,C,H,W with features of their own.
        attention: N,M,h,w, resized to the features.

    Returns:
        N,M,C; 0 where a map is 0 everywhere.
    """
    weights = resized(attention, (features.shape[-2], features.shape[-1]))
    pattern = "nmhw,nchw->nmc" if features.ndim == 4 else "nmhw,nmchw->nmc"
    return F.normalize(torch.einsum(pattern, weights, features), dim=-1)


def attention_average(features: Tensor, attention: Tensor) -> Tensor:
    """Return the average of the features weighted by the sum of the attention maps, plus 1e-8.

    Args:
        features: N,C,H,W.
        attention: N,M,h,w; the sum is resized to the features.

    Returns:
        N,C; the plain average where the attention is 0 everywhere.
    """
    weights = resized(attention.sum(dim=1, keepdim=True), (features.shape[2], features.shape[3])) + EPSILON
    return (weights * features).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
