"""Suites: fixed lists of conditions to test a detector under."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dfbench.degrade.condition import Condition, Step
from dfbench.degrade.registry import get_degradation
from dfbench.errors import UsageError, unknown_name

SEVERITIES = (1, 2, 3, 4, 5)

# A suite is what its name meant when it was first used: another degradation makes another version.
_FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "robustness/v1": (
            *("jpeg", "webp", "mean", "median", "gaussian-blur", "motion-blur"),
            *("gaussian-noise", "shot-noise", "salt-pepper", "resize"),
            *("brightness", "contrast", "saturation", "gamma", "color-shift", "sharpen"),
            *("occlude", "shift", "h264", "h265", "av1", "social"),
        )
    }
)


def severity_condition(name: str, level: int) -> Condition:
    """A degradation at one of its five severities, at its default place.

    Args:
        name: of the degradation.
        level: 1 (mildest) to 5.

    Raises:
        UsageError: the name is unknown, or the level is none of the five.

    >>> severity_condition("jpeg", 3).name
    'JP60'
    """
    degradation = get_degradation(name)
    if level not in SEVERITIES:
        raise UsageError(f"{name} has no severity {level}", "severities run from 1 (mildest) to 5")
    values = {p.name: p.default for p in degradation.parameters} | {
        degradation.parameters[0].name: degradation.levels[level - 1]
    }
    return Condition((Step(name, tuple(values.items())),), degradation.places[0])


def suite(name: str = "robustness/v1") -> tuple[Condition, ...]:
    """The conditions of a suite, without ``clean``, family by family from mild to hard.

    Whether this machine can apply each of them, :func:`dfbench.degrade.available` says.

    Args:
        name: ``robustness/v1``: every degradation at its five severities, at its default place.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in _FAMILIES:
        raise unknown_name("suite", name, _FAMILIES)
    return tuple(severity_condition(family, level) for family in _FAMILIES[name] for level in SEVERITIES)


def suite_names() -> tuple[str, ...]:
    """Names of the suites."""
    return tuple(_FAMILIES)
