"""The attention fusion of GRnet (section III-C): channel attention within a stream, loss-driven stream weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from dfbench.errors import ModelError

_LEAST_LOSS = 1e-6  # lower bound that keeps reciprocals finite

ALPHA_FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda losses: torch.softmax(-losses, dim=-1),
    "reciprocal": lambda losses: _reciprocal(losses) / _reciprocal(losses).sum(dim=-1, keepdim=True),
    "softmax-reciprocal": lambda losses: torch.softmax(_reciprocal(losses), dim=-1),
    "softmax-loss": lambda losses: torch.softmax(losses, dim=-1),
}
FUSIONS = ("afm", "sum", "max", "min", "concat")


def channel_attention(features: Tensor, scale: bool = False, residual: bool = False) -> Tensor:
    """Mix the channels by the softmax of their dot products; N,C,H,W -> N,C,H,W.

    F is N,C,H*W; M = row-wise softmax(F F^T), with the row maximum subtracted; the result is M F. Computed in float32
    regardless of autocast (float64 stays float64). No parameters.

    Args:
        features: feature maps.
        scale: divide the dot products by the square root of H*W, as in a transformer.
        residual: add the features to the result.
    """
    if features.ndim != 4:
        raise ModelError(f"channel attention expects N,C,H,W, got {tuple(features.shape)}")
    kind = features.dtype if features.dtype == torch.float64 else torch.float32
    with torch.autocast(features.device.type, enabled=False):
        rows = features.to(kind).flatten(2)
        products = rows @ rows.transpose(1, 2)
        mixing = torch.softmax(products / math.sqrt(rows.shape[2]) if scale else products, dim=-1)
        mixed = mixing @ rows
        return (rows + mixed if residual else mixed).reshape(features.shape)


def stream_weights(losses: Tensor, form: str = "softmax") -> Tensor:
    """Compute the weights of the streams from their losses, positive and with sum 1; same shape.

    Args:
        losses: one loss per stream, at least 0.
        form: reading of "the loss is inversely proportional to the weight" and "fed into the softmax":
            ``softmax``: softmax of the negated losses; for two streams the same as that of the swapped losses.
            ``reciprocal``: 1/loss, divided by the sum: literal inverse proportion, no softmax.
            ``softmax-reciprocal``: softmax of 1/loss; one stream dominates as soon as losses are small.
            ``softmax-loss``: softmax of the losses, so that the *worse* stream has the larger weight.

    Raises:
        ModelError: the form is unknown.

    >>> stream_weights(torch.tensor([0.2, 0.7], dtype=torch.float64)).tolist()
    [0.62245..., 0.37754...]
    """
    if form not in ALPHA_FORMS:
        raise ModelError(f"unknown form {form!r} of the stream weights", f"choose from: {', '.join(ALPHA_FORMS)}")
    return ALPHA_FORMS[form](losses)


def fuse(maps: Sequence[Tensor], how: str, weights: Tensor, *, scale: bool = False, residual: bool = False) -> Tensor:
    """Fuse the feature maps of the streams, each N,C,H,W.

    Args:
        maps: one map per stream; with ``afm``, a single map gets channel attention only.
        how: ``afm`` (channel attention, then the sum weighted by ``weights``), ``sum``, ``max``, ``min`` (element-wise,
            Table III) or ``concat`` (N,2C,H,W).
        weights: one weight per stream, used by ``afm`` only.
        scale: as in :func:`channel_attention`, used by ``afm`` only.
        residual: likewise.
    """
    if how == "afm":
        attended = (channel_attention(features, scale, residual) for features in maps)
        fused: Tensor = reduce(torch.add, (w * m for w, m in zip(weights, attended, strict=True)))
        return fused
    if how == "concat":
        return torch.cat(tuple(maps), dim=1)
    joins: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "sum": torch.add,
        "max": torch.maximum,
        "min": torch.minimum,
    }
    return reduce(joins[how], maps)


def _reciprocal(losses: Tensor) -> Tensor:
    return losses.clamp_min(_LEAST_LOSS).reciprocal()
