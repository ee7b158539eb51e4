"""The model interface, the registry, and weight files: everything that a detector package may import."""

from __future__ import annotations

import warnings
from typing import Any

from dfbench.models.convert.keymap import KeyMap as KeyMap
from dfbench.models.spec import ModelSpec as ModelSpec
from dfbench.models.spec import Preset as Preset
from dfbench.models.spec import ReproductionNote as ReproductionNote
from dfbench.models.spec import TrainingDefaults as TrainingDefaults

__all__ = ["KeyMap", "ModelSpec", "Preset", "ReproductionNote", "TrainingDefaults"]


def __getattr__(name: str) -> Any:
    if name == "OpenPoint":
        warnings.warn("OpenPoint is deprecated: use ReproductionNote", DeprecationWarning, stacklevel=2)
        return ReproductionNote
    raise AttributeError(f"module 'dfbench.models' has no attribute {name!r}")
