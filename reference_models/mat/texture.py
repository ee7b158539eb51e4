"""Texture enhancement: what local averages leave of a shallow feature map, through densely connected convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference_models.mat.attention import resized

DENSE = 3
"""Densely connected convolutions."""


class NormConv(nn.Module):
    """Batch normalisation, ReLU, and a convolution in groups that keeps the size.

    Args:
        before: channels of the input.
        after: channels of the output.
        kernel: side of the kernel, odd.
        groups: of the convolution.
    """

    def __init__(self, before: int, after: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(before)
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, groups=groups)

    def forward(self, maps: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H,W."""
        out: Tensor = self.conv(F.relu(self.norm(maps)))
        return out


class TextureEnhancement(nn.Module):
    """Subtract local averages from a feature map and enhance the rest.

    Form ``v2``, of the released weights: a 3x3 convolution comes first, and the residual is multiplied by tanh of each
    attention map, so that every map has a group of channels of its own, M x C in all. Form ``v1``, that of the paper:
    the residual of the features themselves, once, and 4 x C channels.

    Args:
        channels: C of the feature map.
        maps: M, number of attention maps.
        form: ``v2`` or ``v1``.
    """

    def __init__(self, channels: int, maps: int, form: str = "v2") -> None:
        super().__init__()
        self.groups = maps if form == "v2" else 1
        self.form = form
        width = channels * self.groups
        if form == "v2":
            self.extract = nn.Conv2d(channels, channels, 3, padding=1)
            self.first = nn.Conv2d(width, width, 5, padding=2, groups=maps)
        else:
            self.first = nn.Conv2d(channels, channels, 1)
        self.dense = nn.ModuleList(NormConv(k * width, width, 3, self.groups) for k in range(1, DENSE + 1))
        joined = (DENSE + 1) * width
        out = width if form == "v2" else joined
        self.last = NormConv(joined, out, 1, self.groups)
        self.norm = nn.BatchNorm2d(out)
        self.channels = out // self.groups

    def forward(self, features: Tensor, attention: Tensor) -> tuple[Tensor, Tensor]:
        """Return enhanced textures, and the local averages.

        Args:
            features: N,C,H,W.
            attention: N,M,h,w, not larger than the features; no gradient flows to it.

        Returns:
            Textures N,M,C,H,W (``v1``: N,4C,H,W), averages N,C,h,w.
        """
        if self.form == "v2":
            features = self.extract(features)
        size, small = (features.shape[2], features.shape[3]), (attention.shape[2], attention.shape[3])
        averages = F.adaptive_avg_pool2d(features, small)
        x = features - F.interpolate(averages, size, mode="nearest")
        if self.form == "v2":
            gates = torch.tanh(resized(attention.detach(), size))
            x = (x[:, None] * gates[:, :, None]).flatten(1, 2)
        x = self.first(x)
        for layer in self.dense:
            x = self._joined(x, layer(x))
        textures: Tensor = self.norm(self.last(x))
        if self.form == "v1":
            return textures, averages
        return self._by_group(F.relu(textures)), averages

    def _joined(self, one: Tensor, two: Tensor) -> Tensor:
        """Concatenate the channels of every group."""
        return torch.cat((self._by_group(one), self._by_group(two)), dim=2).flatten(1, 2)

    def _by_group(self, maps: Tensor) -> Tensor:
        """N,G*C,H,W -> N,G,C,H,W."""
        return maps.reshape(maps.shape[0], self.groups, -1, *maps.shape[2:])
