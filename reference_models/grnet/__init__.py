"""GRnet: guided residuals and adaptive fusion of two streams (arXiv 2205.00753). Torch is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_models.grnet.fusion import channel_attention as channel_attention
    from reference_models.grnet.fusion import stream_weights as stream_weights
    from reference_models.grnet.network import GRnet as GRnet
    from reference_models.grnet.network import GRnetOutput as GRnetOutput
    from reference_models.grnet.residual import guided_filter as guided_filter
    from reference_models.grnet.residual import guided_residual as guided_residual

_LAZY = {
    "GRnet": "network",
    "GRnetOutput": "network",
    "channel_attention": "fusion",
    "guided_filter": "residual",
    "guided_residual": "residual",
    "stream_weights": "fusion",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'reference_models.grnet' has no attribute {name!r}")
    return getattr(import_module(f"reference_models.grnet.{_LAZY[name]}"), name)
