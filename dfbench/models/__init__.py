"""The model interface, the registry, and weight files. What a detector package may import stands here."""

from __future__ import annotations

from dfbench.models.convert.keymap import KeyMap as KeyMap
from dfbench.models.spec import ModelSpec as ModelSpec
from dfbench.models.spec import ReproductionNote as ReproductionNote
from dfbench.models.spec import TrainingDefaults as TrainingDefaults

__all__ = ["KeyMap", "ModelSpec", "ReproductionNote", "TrainingDefaults"]
