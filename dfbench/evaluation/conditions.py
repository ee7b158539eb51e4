"""The conditions of a run, and those of a suite that are skipped because they are not available on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfbench.degrade import CLEAN, SUITE, Condition, available, parse, read_conditions
from dfbench.errors import SetupError
from dfbench.metrics.robustness import ConditionOrigin
from dfbench.protocols.protocol import Protocol


@dataclass(frozen=True)
class ConditionPlan:
    """The conditions of a run.

    Attributes:
        conditions: in the order of evaluation, each once.
        in_detail: names of those whose metrics are also computed for each manipulation: not those of a suite.
        unavailable: name of a suite's condition that is not available -> reason.
    """

    conditions: tuple[Condition, ...]
    in_detail: frozenset[str]
    unavailable: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the conditions."""
        return tuple(condition.name for condition in self.conditions)

    @property
    def origins(self) -> dict[str, ConditionOrigin]:
        """Family and severity of every condition but ``clean``."""
        return {c.name: ConditionOrigin(c.family, c.severity) for c in self.conditions if not c.is_clean}


def plan_conditions(protocol: Protocol, added: Sequence[str] = ()) -> ConditionPlan:
    """Return the protocol's test conditions and added ones; with added ones or a suite, ``clean`` comes first.

    Args:
        protocol: its conditions are always evaluated.
        added: specs, or ``suite:NAME``.

    Raises:
        UsageError: a condition is not well formed, or there is no degradation or suite of that name.
        SetupError: a condition that was named itself is not available.
    """
    words = [*protocol.conditions.test, *added]
    if added or any(word.startswith(SUITE) for word in words):
        words = [CLEAN, *words]
    unavailable: dict[str, str] = {}
    kept: list[Condition] = []
    in_detail = set()
    for asked in read_conditions(words):
        name, reason = asked.condition.name, available(asked.condition)
        if reason is None:
            kept.append(asked.condition)
            if not asked.of_suite:
                in_detail.add(name)
        elif asked.of_suite:
            unavailable[name] = reason
        else:
            raise SetupError(f"{name} is not available: {reason}", "see: dfbench list degradations")
    return ConditionPlan(tuple(kept), frozenset(in_detail), unavailable)


def source_notes(conditions: Sequence[Condition]) -> dict[str, str]:
    """Return, by condition, remarks on the strength of a degradation that acts on whole frames."""
    notes = {
        condition.name: " ".join(dict.fromkeys(step.degradation.note for step in condition.steps))
        for condition in conditions
        if condition.where == "source"
    }
    return {name: note for name, note in notes.items() if note.strip()}


def training_condition(protocol: Protocol, given: str | None = None) -> Condition:
    """Return the condition of training and validation data: the given one, else the protocol's.

    Raises:
        UsageError: it is not well formed.
        SetupError: it is not available on this machine.
    """
    condition = parse(given if given is not None else protocol.conditions.train)
    reason = available(condition)
    if reason is not None:
        raise SetupError(f"{condition.name} is not available: {reason}", "see: dfbench list degradations")
    return condition
