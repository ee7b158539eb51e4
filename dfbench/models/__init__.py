"""The model interface, the registry, and weight files: everything that a detector package may import."""

from __future__ import annotations

from dfbench.models.convert.keymap import KeyMap as KeyMap
from dfbench.models.spec import ModelSpec as ModelSpec
from dfbench.models.spec import ReproductionNote as ReproductionNote
from dfbench.models.spec import TrainingDefaults as TrainingDefaults

__all__ = ["KeyMap", "ModelSpec", "ReproductionNote", "TrainingDefaults"]
