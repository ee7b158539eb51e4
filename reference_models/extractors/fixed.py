"""Extractors without anything to learn: a high-pass filter, three SRM kernels, the guided residual.

All take RGB with values from 0 to 255, N,3,H,W, and return N,3,H,W in float32 under mixed precision as well: residuals
are small differences of large numbers. Their kernels are no part of weight files.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference_models.grnet.residual import guided_residual

_KV = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))
_SQUARE = ((0, 0, 0, 0, 0), (0, -1, 2, -1, 0), (0, 2, -4, 2, 0), (0, -1, 2, -1, 0), (0, 0, 0, 0, 0))
_LINE = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 1, -2, 1, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0))


def srm_kernels() -> Tensor:
    """KV / 12, second-order square / 4 and second-order line / 2, each centred in 5x5; (3, 5, 5) float32, sums 0.

    Order and scale as in the noise stream of RGB-N (Zhou et al., CVPR 2018).
    """
    kernels = torch.tensor([_KV, _SQUARE, _LINE], dtype=torch.float32)
    return kernels / torch.tensor([12.0, 4.0, 2.0]).view(3, 1, 1)


class _FixedFilter(nn.Module):
    kernel: Tensor
    channels = 3
    groups = 1

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W in 0-255 -> N,3,H,W; zeros beyond the border."""
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images.to(self.kernel.dtype), self.kernel, padding=2, groups=self.groups)


class HighPass(_FixedFilter):
    """The KV kernel / 12 on every colour plane by itself."""

    groups = 3

    def __init__(self) -> None:
        super().__init__(srm_kernels()[0].expand(3, 1, 5, 5).clone())


class SRM(_FixedFilter):
    """Output plane k is kernel k of :func:`srm_kernels`, applied to the three colour planes and summed over them."""

    def __init__(self) -> None:
        super().__init__(srm_kernels()[:, None].expand(3, 3, 5, 5).clone())


class GuidedResidual(nn.Module):
    """GRnet's manipulation trace extractor with its defaults, brought back to the range 0-255."""

    channels = 3

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W in 0-255 -> N,3,H,W, at least 0."""
        return guided_residual(images / 255.0, gain=255.0)
