"""Degradations of pictures and clips, conditions made of them, and the suite of all of them."""

from dfbench.degrade.apply import apply, apply_clip, apply_stream, available
from dfbench.degrade.base import Degradation, Parameter
from dfbench.degrade.condition import CLEAN, Condition, Step
from dfbench.degrade.parse import parse
from dfbench.degrade.quality import psnr
from dfbench.degrade.registry import ALIASES, degradation_names, get_degradation
from dfbench.degrade.suite import SEVERITIES, severity_condition, suite, suite_names

__all__ = [
    "ALIASES",
    "CLEAN",
    "SEVERITIES",
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
    "parse",
    "psnr",
    "severity_condition",
    "suite",
    "suite_names",
]
