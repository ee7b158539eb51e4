"""Suites, fixed lists of conditions for testing detectors, and lists of conditions and suites in text form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dfbench.degrade.condition import Condition, Step
from dfbench.degrade.parse import parse
from dfbench.degrade.registry import get_degradation
from dfbench.errors import UsageError, unknown_name

SEVERITIES = (1, 2, 3, 4, 5)
SUITE = "suite:"
"""Prefix of the name of a suite in a list of conditions."""

# The content of a suite never changes: another degradation makes another version.
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
    """Return a degradation at one of its five severities and at its default stage.

    Args:
        name: name of the degradation.
        level: 1 (mildest) to 5.

    Raises:
        UsageError: the name or the level is unknown.

    >>> severity_condition("jpeg", 3).name
    'JP60'
    """
    degradation = get_degradation(name)
    if level not in SEVERITIES:
        raise UsageError(f"{name} has no severity {level}", "severities are 1 (mildest) to 5")
    values = {p.name: p.default for p in degradation.parameters} | {
        degradation.parameters[0].name: degradation.levels[level - 1]
    }
    return Condition((Step(name, tuple(values.items())),), degradation.stages[0])


def suite(name: str = "robustness/v1") -> tuple[Condition, ...]:
    """Return the conditions of a suite without ``clean``, family by family from mild to severe.

    :func:`dfbench.degrade.available` tells which of them this machine can apply.

    Args:
        name: ``robustness/v1``: every degradation at its five severities, at its default stage.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in _FAMILIES:
        raise unknown_name("suite", name, _FAMILIES)
    return tuple(severity_condition(family, level) for family in _FAMILIES[name] for level in SEVERITIES)


def suite_names() -> tuple[str, ...]:
    """Return the names of the suites."""
    return tuple(_FAMILIES)


@dataclass(frozen=True)
class RequestedCondition:
    """A condition, and whether it was requested only as a part of a suite."""

    condition: Condition
    of_suite: bool


def read_conditions(texts: Iterable[str]) -> tuple[RequestedCondition, ...]:
    """Parse a list of conditions and suites (``suite:NAME``), as protocols and commands contain them.

    Returns:
        Every condition once. One that is named itself does not count as a part of a suite.

    Raises:
        UsageError: a condition is not well formed, or a degradation or suite is unknown.

    >>> [r.condition.name for r in read_conditions(["clean", "jpeg:q=60", "JP60"])]
    ['clean', 'JP60']
    """
    found: dict[str, RequestedCondition] = {}
    for condition, of_suite in _expand(texts):
        earlier = found.get(condition.name)
        found[condition.name] = RequestedCondition(condition, of_suite and (earlier is None or earlier.of_suite))
    return tuple(found.values())


def _expand(texts: Iterable[str]) -> Iterator[tuple[Condition, bool]]:
    for text in texts:
        if text.startswith(SUITE):
            yield from ((condition, True) for condition in suite(text.removeprefix(SUITE)))
        else:
            yield parse(text), False
