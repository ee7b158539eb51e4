"""Degradations of images and clips, conditions that chain them, and suites of conditions.

``apply("jpeg:q=60", image, sample_id)`` degrades an image; :func:`list_degradations` lists what can be applied.
"""

from dfbench.degrade.apply import apply, apply_clip, apply_stream, available
from dfbench.degrade.base import Degradation, Parameter, psnr
from dfbench.degrade.condition import CLEAN, Condition, Step
from dfbench.degrade.parse import parse
from dfbench.degrade.registry import ALIASES, degradation_names, get_degradation, list_degradations
from dfbench.degrade.suites import SEVERITIES, SUITE, read_conditions, severity_condition, suite, suite_names

__all__ = [
    "ALIASES",
    "CLEAN",
    "SEVERITIES",
    "SUITE",
    "Condition",
    "Degradation",
    "Parameter",
    "Step",
    "apply",
    "apply_clip",
    "apply_stream",
    "available",
    "degradation_names",
    "get_degradation",
    "list_degradations",
    "parse",
    "psnr",
    "read_conditions",
    "severity_condition",
    "suite",
    "suite_names",
]
