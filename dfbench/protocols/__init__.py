"""Protocols: TOML files that state data, sampling, crops, conditions, training and metrics; validated and hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.protocols.check import check_protocol as check_protocol
    from dfbench.protocols.files import list_protocols as list_protocols
    from dfbench.protocols.files import load_protocol as load_protocol
    from dfbench.protocols.protocol import DataPart as DataPart
    from dfbench.protocols.protocol import Protocol as Protocol
    from dfbench.protocols.protocol import Sampling as Sampling
    from dfbench.protocols.reference import protocol_ref as protocol_ref
    from dfbench.protocols.training_recipe import TrainingRecipe as TrainingRecipe

_LAZY = {
    "DataPart": "dfbench.protocols.protocol",
    "Protocol": "dfbench.protocols.protocol",
    "Sampling": "dfbench.protocols.protocol",
    "TrainingRecipe": "dfbench.protocols.training_recipe",
    "check_protocol": "dfbench.protocols.check",
    "list_protocols": "dfbench.protocols.files",
    "load_protocol": "dfbench.protocols.files",
    "protocol_ref": "dfbench.protocols.reference",
}

__all__ = [
    "DataPart",
    "Protocol",
    "Sampling",
    "TrainingRecipe",
    "check_protocol",
    "list_protocols",
    "load_protocol",
    "protocol_ref",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
