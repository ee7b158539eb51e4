"""Which pixels are erased, and with what: blocks around sensitive or random pixels, or where activation is large."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

PUBLISHED_SIZE = 224
"""Crop size that the largest side of a block refers to, in pixels."""
FILL = (0.25, 0.75)
"""Range of the noise in erased pixels, RGB in [0,1]: [-1, 1) at the published mean 0.5 and standard deviation 0.25."""


def largest_side(side: int, size: int) -> int:
    """Return the largest side of a block, in pixels.

    Args:
        side: for crops of 224 pixels.
        size: crop size in pixels.

    >>> largest_side(120, 224), largest_side(120, 128), largest_side(120, 380)
    (120, 69, 204)
    """
    return max(1, round(side * size / PUBLISHED_SIZE))


def sensitive_blocks(sensitivity: Tensor, blocks: int, largest: int) -> Tensor:
    """Suspicious forgeries erasing: blocks around the most sensitive pixels of each image.

    Pixels are visited from the most sensitive one down, equal ones in their order, and one that is not erased yet
    is the anchor (r, c) of a block. Its height h and width w are uniform in 1..largest, its shifts s and t uniform in
    1..h and 1..w, and it erases rows r - s to r + h - s and columns c - t to c + w - t, ends excluded, inside the
    image. With s = h or t = w the anchor itself stays, and the next pixel follows. Without pixels left there are no
    further blocks.

    Args:
        sensitivity: (N, H, W); NaN counts as 0.
        blocks: number of blocks per image.
        largest: largest height and width of a block in pixels.

    Returns:
        Bool (N, H, W): the erased pixels.
    """
    count, height, width = sensitivity.shape
    device = sensitivity.device
    order = sensitivity.detach().nan_to_num(nan=0.0)
    rows = torch.arange(height, device=device).view(1, -1, 1)
    columns = torch.arange(width, device=device).view(1, 1, -1)
    erased = torch.zeros(sensitivity.shape, dtype=torch.bool, device=device)
    passed = torch.zeros(count, height * width, dtype=torch.bool, device=device)  # anchors
    for _ in range(blocks):
        # Drawn on the CPU: the same blocks on every device, for the same sensitivity.
        sides = torch.randint(1, largest + 1, (2, count))
        shifts = (torch.rand(2, count, dtype=torch.float64) * sides).long() + 1
        taken = erased.flatten(1) | passed
        anchor = order.flatten(1).masked_fill(taken, float("-inf")).argmax(1)
        passed.scatter_(1, anchor[:, None], True)
        top = anchor.div(width, rounding_mode="floor") - shifts[0].to(device)
        left = anchor % width - shifts[1].to(device)
        block = _between(rows, top, sides[0].to(device)) & _between(columns, left, sides[1].to(device))
        erased |= block & ~taken.all(1).view(-1, 1, 1)
    return erased


def _between(places: Tensor, start: Tensor, length: Tensor) -> Tensor:
    start, end = start.view(-1, 1, 1), (start + length).view(-1, 1, 1)
    return (places >= start) & (places < end)


def random_blocks(images: Tensor, blocks: int, largest: int) -> Tensor:
    """Random erasing: blocks of the law of :func:`sensitive_blocks` around uniform random pixels.

    Args:
        images: (N, C, H, W).
        blocks: number of blocks per image.
        largest: largest height and width of a block in pixels.

    Returns:
        Bool (N, H, W).
    """
    order = torch.rand(len(images), *images.shape[2:], device=images.device, dtype=torch.float64)
    return sensitive_blocks(order, blocks, largest)


def active_pixels(activation: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """Activation erasing: the pixels where an enlarged map exceeds a threshold.

    Args:
        activation: (N, h, w), enlarged bilinearly to ``size`` and scaled to [0,1] per image; a constant map, up to
            rounding, is 0.
        size: height and width of the image.
        threshold: between 0 and 1.

    Returns:
        Bool (N, *size).
    """
    enlarged = F.interpolate(activation[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]
    lowest, highest = enlarged.amin((1, 2), keepdim=True), enlarged.amax((1, 2), keepdim=True)
    differs = highest - lowest > 1e-6 * enlarged.abs().amax((1, 2), keepdim=True)
    return differs & (enlarged - lowest > threshold * (highest - lowest))


def filled(images: Tensor, erased: Tensor) -> Tensor:
    """Fill erased pixels with uniform noise, drawn for every pixel and channel.

    Args:
        images: (N, 3, H, W), RGB in [0,1].
        erased: bool (N, H, W).
    """
    return torch.where(erased[:, None], torch.empty_like(images).uniform_(*FILL), images)
