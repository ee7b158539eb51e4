"""Residual extractors that stand before a classifier (Table II of GRnet). Torch is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_models.extractors.amten import AMTEN as AMTEN
    from reference_models.extractors.choose import EXTRACTORS as EXTRACTORS
    from reference_models.extractors.choose import make_extractor as make_extractor
    from reference_models.extractors.constrained import ConstrainedConv as ConstrainedConv
    from reference_models.extractors.constrained import constrain as constrain
    from reference_models.extractors.fixed import SRM as SRM
    from reference_models.extractors.fixed import GuidedResidual as GuidedResidual
    from reference_models.extractors.fixed import HighPass as HighPass
    from reference_models.extractors.fixed import srm_kernels as srm_kernels

_LAZY = {
    "AMTEN": "amten",
    "ConstrainedConv": "constrained",
    "EXTRACTORS": "choose",
    "GuidedResidual": "fixed",
    "HighPass": "fixed",
    "SRM": "fixed",
    "constrain": "constrained",
    "make_extractor": "choose",
    "srm_kernels": "fixed",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'reference_models.extractors' has no attribute {name!r}")
    return getattr(import_module(f"reference_models.extractors.{_LAZY[name]}"), name)
