"""Conditions as protocols and commands write them: specs, and ``suite:NAME`` for all conditions of a suite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dfbench.degrade import Condition, parse, suite

SUITE = "suite:"


@dataclass(frozen=True)
class AskedCondition:
    """A condition, and whether it was named itself or is one of a suite."""

    condition: Condition
    of_suite: bool


def read_conditions(words: Iterable[str]) -> tuple[AskedCondition, ...]:
    """Every condition that is asked for, each once; one that is named itself counts as such.

    Raises:
        UsageError: a condition is not well formed, or there is no degradation or suite of that name.

    >>> [a.condition.name for a in read_conditions(["clean", "jpeg:q=60", "JP60"])]
    ['clean', 'JP60']
    """
    found: dict[str, AskedCondition] = {}
    for condition, of_suite in _expand(words):
        before = found.get(condition.name)
        found[condition.name] = AskedCondition(condition, of_suite and (before is None or before.of_suite))
    return tuple(found.values())


def _expand(words: Iterable[str]) -> Iterator[tuple[Condition, bool]]:
    for word in words:
        if word.startswith(SUITE):
            yield from ((condition, True) for condition in suite(word.removeprefix(SUITE)))
        else:
            yield parse(word), False
