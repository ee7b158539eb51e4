"""Attention-guided data augmentation (AGDA): degrade an image where one of its attention maps is high."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reference_models.mat.attention import EPSILON, resized

KERNEL = 11
SIGMA = 7.0
THRESHOLDS = (0.4, 0.6)
STEEPNESS = (3.0, 5.0)


@torch.no_grad()
def choose_maps(attention: Tensor) -> Tensor:
    """Draw one map for every image, with a probability proportional to sqrt(its sum + 1); N,M,h,w -> int64 (N,)."""
    weights = (attention.sum(dim=(2, 3)).double() + 1).sqrt()
    return torch.multinomial(weights, 1)[:, 0]


def soft_weights(attention: Tensor, threshold: Tensor | float, steepness: Tensor | float) -> Tensor:
    """Return a sigmoid of the attention, shifted and scaled so that 0 stays 0 and it tends to 1.

    Args:
        attention: in [0,1].
        threshold: where the sigmoid is steepest.
        steepness: factor on its argument.
    """
    z = torch.as_tensor(steepness, dtype=attention.dtype, device=attention.device)
    t = torch.as_tensor(threshold, dtype=attention.dtype, device=attention.device)
    least = torch.sigmoid(-t * z)
    return (torch.sigmoid((attention - t) * z) - least) / (1 - least)


def blur(images: Tensor, sigma: float = SIGMA, kernel: int = KERNEL) -> Tensor:
    """Return images blurred by a Gaussian; the border is reflected, height and width are above ``kernel`` // 2.

    Args:
        images: N,C,H,W.
        sigma: standard deviation in pixels.
        kernel: side of the window, odd.
    """
    place = torch.arange(kernel, dtype=images.dtype, device=images.device) - kernel // 2
    line = torch.exp(-(place**2) / (2 * sigma**2))
    line = (line / line.sum()).expand(images.shape[1], 1, 1, kernel)
    half = kernel // 2
    rows = F.conv2d(F.pad(images, (half, half, half, half), mode="reflect"), line, groups=images.shape[1])
    return F.conv2d(rows, line.transpose(2, 3), groups=images.shape[1])


@torch.no_grad()
def degrade(images: Tensor, attention: Tensor, chosen: Tensor, form: str, scale: float, noise: float) -> Tensor:
    """Replace each image by a blurred, smaller and noisy version of itself, where its chosen map is high.

    Form ``soft``, of the authors' program: the weight of the degraded image is a sigmoid of the map, whose threshold
    and steepness are drawn for the batch. Form ``linear``, that of the paper: the map itself.

    Args:
        images: N,3,H,W.
        attention: N,M,h,w, at least 0.
        chosen: int64 (N,), number of a map.
        form: ``soft`` or ``linear``.
        scale: factor on the size of the degraded image, before it is enlarged again.
        noise: standard deviation of the noise, on the scale of the images.

    Returns:
        N,3,H,W.
    """
    height, width = images.shape[2:]
    with torch.autocast(images.device.type, enabled=False):
        maps = resized(attention.to(images.dtype), (height, width))
        maps = maps[torch.arange(len(maps), device=maps.device), chosen][:, None]
        maps = maps / (maps.amax(dim=(2, 3), keepdim=True) + EPSILON)
        if form == "soft":
            threshold, steepness = (low + (high - low) * float(torch.rand(())) for low, high in (THRESHOLDS, STEEPNESS))
            maps = soft_weights(maps, threshold, steepness)
        small = F.interpolate(images, (int(height * scale), int(width * scale)), mode="bilinear", align_corners=True)
        small = blur(small)
        if noise:
            small = small + noise * torch.randn_like(small)
        return images + maps * (resized(small, (height, width)) - images)
