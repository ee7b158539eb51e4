"""The attention fusion of GRnet (section III-C): channel attention in a stream, loss-driven weights between streams."""

from __future__ import annotations

import torch
from torch import Tensor

from dfbench.errors import ModelError


def channel_attention(features: Tensor) -> Tensor:
    """Every channel as a mixture of all, by the softmax of their dot products; N,C,H,W -> N,C,H,W.

    F is N,C,H*W; M = row-wise softmax(F F^T), unscaled and with the row maximum subtracted; the result is M F.
    Computed in float32 whatever the autocast (float64 stays float64). No parameters.
    """
    if features.ndim != 4:
        raise ModelError(f"channel attention takes N,C,H,W, not {tuple(features.shape)}")
    kind = features.dtype if features.dtype == torch.float64 else torch.float32
    with torch.autocast(features.device.type, enabled=False):
        rows = features.to(kind).flatten(2)
        mixing = torch.softmax(rows @ rows.transpose(1, 2), dim=-1)
        return (mixing @ rows).reshape(features.shape)


def stream_weights(losses: Tensor) -> Tensor:
    """Weights of the streams from their losses: softmax of the negated losses, so that the better stream weighs more.

    For two streams this equals the softmax of the swapped losses.

    >>> stream_weights(torch.tensor([0.2, 0.7], dtype=torch.float64)).tolist()
    [0.62245..., 0.37754...]
    """
    return torch.softmax(-losses, dim=-1)


def fuse(rgb: Tensor, residual: Tensor, how: str, weights: Tensor) -> Tensor:
    """Fuse two feature maps of equal shape N,C,H,W.

    Args:
        rgb: map of the spatial stream.
        residual: map of the residual stream.
        how: ``afm`` (attention within, ``weights`` between), ``sum``, ``max``, ``min`` (element-wise, Table III) or
            ``concat`` (channels side by side: N,2C,H,W).
        weights: shape (2,), used by ``afm`` alone.
    """
    if how == "afm":
        attended = channel_attention(rgb), channel_attention(residual)
        return weights[0] * attended[0] + weights[1] * attended[1]
    if how == "sum":
        return rgb + residual
    if how == "max":
        return torch.maximum(rgb, residual)
    if how == "min":
        return torch.minimum(rgb, residual)
    return torch.cat((rgb, residual), dim=1)
