"""Suites: fixed lists of conditions to test a detector under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dfbench.degrade.condition import Condition, Step
from dfbench.degrade.registry import DEGRADATIONS, get_degradation
from dfbench.errors import UsageError, unknown_name

SEVERITIES = (1, 2, 3, 4, 5)


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
    if name not in _SUITES:
        raise unknown_name("suite", name, _SUITES)
    return _SUITES[name]()


def suite_names() -> tuple[str, ...]:
    """Names of the suites."""
    return tuple(_SUITES)


def _robustness() -> tuple[Condition, ...]:
    return tuple(severity_condition(name, level) for name in DEGRADATIONS for level in SEVERITIES)


_SUITES: Mapping[str, Callable[[], tuple[Condition, ...]]] = MappingProxyType({"robustness/v1": _robustness})
