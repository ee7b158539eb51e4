"""The manipulation trace extractor of GRnet: what a self-guided filter removes from a picture.

GRnet, section III-B: R = abs(p - q) with q the output of the guided filter (He, Sun and Tang) whose guide is p itself.
The extractor has no parameters to learn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dfbench.errors import ModelError
from reference_models.grnet.box import box_count, box_sum

GUIDES = ("channel", "gray", "color")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def guided_filter(images: Tensor, radius: int = 2, eps: float = 0.01, guide: str = "channel") -> Tensor:
    """Guided filter of pictures that guide themselves; N,C,H,W in [0,1] -> same shape and type.

    Args:
        images: pictures in [0,1]; float64 stays float64, all else is computed in float32, under mixed precision too.
        radius: the window has (2 radius + 1)^2 pixels; at the border the part inside, divided by its pixels.
        eps: regularisation, in squared units of the [0,1] range.
        guide: ``channel``: every plane guides itself; ``color``: all three planes guide each (3x3 covariances).

    Raises:
        ModelError: radius below 1, eps not above 0, or a shape or guide that does not fit.
    """
    if radius < 1 or eps <= 0:
        raise ModelError(f"the guided filter needs radius >= 1 and eps > 0, not {radius} and {eps}")
    if images.ndim != 4 or (guide == "color" and images.shape[1] != 3):
        raise ModelError(f"the guided filter takes N,C,H,W, with a color guide N,3,H,W, not {tuple(images.shape)}")
    if guide not in ("channel", "color"):
        raise ModelError(f"the guided filter has no guide {guide!r}", "choose from: channel, color")
    kind = images.dtype if images.dtype == torch.float64 else torch.float32
    with torch.autocast(images.device.type, enabled=False):
        filtered = (_by_plane if guide == "channel" else _by_color)(images.to(kind).contiguous(), radius, eps)
    return filtered.to(images.dtype) if images.dtype.is_floating_point else filtered


def guided_residual(
    images: Tensor, radius: int = 2, eps: float = 0.01, gain: float = 1.0, guide: str = "channel"
) -> Tensor:
    """``gain * |p - guided_filter(p)|``; N,C,H,W in [0,1] -> same shape, float32 (float64 stays float64).

    Args:
        images: pictures in [0,1].
        radius: window radius in pixels.
        eps: regularisation, in squared units of the [0,1] range.
        gain: factor on the residual.
        guide: ``channel`` and ``color`` as in :func:`guided_filter`; ``gray``: the luma alone is filtered, its
            residual is repeated for the three planes.

    >>> float(guided_residual(torch.full((1, 3, 8, 8), 0.25, dtype=torch.float64)).max()) < 1e-12
    True
    """
    p = images if images.dtype == torch.float64 else images.float()
    if guide == "gray":
        if p.ndim != 4 or p.shape[1] != 3:
            raise ModelError(f"a gray guide needs N,3,H,W, not {tuple(p.shape)}")
        luma = (p * torch.tensor(_LUMA, dtype=p.dtype, device=p.device).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        return guided_residual(luma, radius, eps, gain).expand_as(p)
    distance = (p - guided_filter(p, radius, eps, guide)).abs()
    return distance if gain == 1.0 else gain * distance


def _by_plane(p: Tensor, radius: int, eps: float) -> Tensor:
    """Filtered: mean(a) p + mean(b) with a = var / (var + eps), b = (1 - a) mean, all over windows."""
    share = box_count(p, radius).reciprocal()
    mean = box_sum(p, radius) * share
    variance = (box_sum(p * p, radius) * share - mean * mean).clamp_min(0.0)
    slope = variance / (variance + eps)
    offset = mean - slope * mean
    return (box_sum(slope, radius) * p + box_sum(offset, radius)) * share


def _by_color(p: Tensor, radius: int, eps: float) -> Tensor:
    """The same with vectors: A = S (S + eps)^-1 = 1 - eps (S + eps)^-1 with S the 3x3 covariance of a window.

    In float64, since the closed form of the inverse cancels.
    """
    x = p.double()
    share = box_count(x, radius).reciprocal()
    mean = box_sum(x, radius) * share
    products = torch.stack([x[:, i] * x[:, j] for i, j in _PAIRS], dim=1)
    means = torch.stack([mean[:, i] * mean[:, j] for i, j in _PAIRS], dim=1)
    a, b, c, d, e, f = (box_sum(products, radius) * share - means).unbind(1)
    a, d, f = a.clamp_min(0) + eps, d.clamp_min(0) + eps, f.clamp_min(0) + eps
    cofactors = torch.stack(
        (d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b), 1
    )
    determinant = a * cofactors[:, 0] + b * cofactors[:, 1] + c * cofactors[:, 2]
    one = torch.tensor([1.0, 0, 0, 1, 0, 1], dtype=x.dtype, device=x.device).view(1, 6, 1, 1)
    slope = one - eps * cofactors / determinant[:, None]
    offset = mean - _times(slope, mean)
    return ((_times(box_sum(slope, radius), x) + box_sum(offset, radius)) * share).to(p.dtype)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Symmetric 3x3 matrices, six planes in the order of ``_PAIRS``, times vectors of three planes."""
    a, b, c, d, e, f = matrix.unbind(1)
    x, y, z = vector.unbind(1)
    return torch.stack((a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z), dim=1)
