"""What a detector looks at: maps of its score's sensitivity and of its last features, by gradients.

The names below are loaded on first use, and torch with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.explain.activations import FinalFeatures as FinalFeatures
    from dfbench.explain.gradients import fake_minus_real as fake_minus_real
    from dfbench.explain.gradients import forgery_attention_map as forgery_attention_map
    from dfbench.models.interface import evaluation_mode as evaluation_mode

_LAZY = {
    "FinalFeatures": "dfbench.explain.activations",
    "evaluation_mode": "dfbench.models.interface",
    "fake_minus_real": "dfbench.explain.gradients",
    "forgery_attention_map": "dfbench.explain.gradients",
}

__all__ = ["FinalFeatures", "evaluation_mode", "fake_minus_real", "forgery_attention_map"]

__getattr__ = lazy_attributes(__name__, _LAZY)
