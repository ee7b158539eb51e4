"""What a detector looks at: maps of its score's sensitivity and of its last features, and what they tell.

The names below are loaded on first use, and torch with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.explain.activations import FinalFeatures as FinalFeatures
    from dfbench.explain.activations import captured_outputs as captured_outputs
    from dfbench.explain.activations import find_final_features as find_final_features
    from dfbench.explain.gradients import fake_minus_real as fake_minus_real
    from dfbench.explain.gradients import forgery_attention_map as forgery_attention_map
    from dfbench.explain.reconstruction import FaceReconstruction as FaceReconstruction
    from dfbench.explain.reconstruction import Reconstruct as Reconstruct
    from dfbench.explain.reconstruction import ReconstructedFaces as ReconstructedFaces
    from dfbench.explain.reconstruction import ReconstructionRequest as ReconstructionRequest
    from dfbench.explain.record import ExplanationRecord as ExplanationRecord
    from dfbench.explain.store import Explanation as Explanation
    from dfbench.explain.store import open_explanation as open_explanation
    from dfbench.explain.store import restored as restored
    from dfbench.explain.technique import TechniqueMeans as TechniqueMeans
    from dfbench.models.interface import evaluation_mode as evaluation_mode

_LAZY = {
    "Explanation": "dfbench.explain.store",
    "ExplanationRecord": "dfbench.explain.record",
    "FaceReconstruction": "dfbench.explain.reconstruction",
    "FinalFeatures": "dfbench.explain.activations",
    "Reconstruct": "dfbench.explain.reconstruction",
    "ReconstructedFaces": "dfbench.explain.reconstruction",
    "ReconstructionRequest": "dfbench.explain.reconstruction",
    "TechniqueMeans": "dfbench.explain.technique",
    "captured_outputs": "dfbench.explain.activations",
    "evaluation_mode": "dfbench.models.interface",
    "fake_minus_real": "dfbench.explain.gradients",
    "find_final_features": "dfbench.explain.activations",
    "forgery_attention_map": "dfbench.explain.gradients",
    "open_explanation": "dfbench.explain.store",
    "restored": "dfbench.explain.store",
}

__all__ = [
    "Explanation",
    "ExplanationRecord",
    "FaceReconstruction",
    "FinalFeatures",
    "Reconstruct",
    "ReconstructedFaces",
    "ReconstructionRequest",
    "TechniqueMeans",
    "captured_outputs",
    "evaluation_mode",
    "fake_minus_real",
    "find_final_features",
    "forgery_attention_map",
    "open_explanation",
    "restored",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
