"""Conditions: a chain of degradations and the stage at which they act."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dfbench.degrade.base import STAGES, Degradation, Stage, Value
from dfbench.degrade.registry import ALIASES, get_degradation
from dfbench.errors import UsageError, unknown_name

CLEAN = "clean"
"""The condition of a sample without degradation."""

_PAPER_NAMES = {spec: alias for alias, spec in ALIASES.items()}


@dataclass(frozen=True)
class Step:
    """One degradation with a value for every parameter, in the order of its parameters."""

    name: str
    values: tuple[tuple[str, Value], ...]

    @property  # not cached: conditions are pickled, functions need not be
    def degradation(self) -> Degradation:
        """Its definition."""
        return get_degradation(self.name)

    @cached_property
    def settings(self) -> dict[str, Value]:
        """Parameter -> value."""
        return dict(self.values)

    def __str__(self) -> str:
        """Return the spec: the first parameter, and others if they differ from their defaults."""
        shown = [
            f"{parameter.name}={value if isinstance(value, str) else f'{value:g}'}"
            for parameter, (_, value) in zip(self.degradation.parameters, self.values, strict=True)
            if parameter is self.degradation.parameters[0] or value != parameter.default
        ]
        spec = f"{self.name}:{','.join(shown)}"
        return _PAPER_NAMES.get(spec, spec)


def default_stage(steps: tuple[Step, ...]) -> Stage:
    """Return the stage if none is given: the clip if one of the steps can act only there, otherwise the crop."""
    return "clip" if any(step.degradation.on_image is None for step in steps) else "crop"


@dataclass(frozen=True)
class Condition:
    """A chain of degradations and the stage at which they act; no steps is ``clean``.

    Attributes:
        steps: applied from the first to the last.
        where: ``crop``, ``source`` or ``clip``.

    Raises:
        UsageError: a degradation does not act at that stage.
    """

    steps: tuple[Step, ...] = ()
    where: Stage = "crop"

    def __post_init__(self) -> None:
        """Check the stage."""
        if self.where not in STAGES:
            raise unknown_name("stage", self.where, STAGES)
        if not self.steps and self.where != "crop":
            raise UsageError(f"clean@{self.where} is not a condition", "clean has no stage: write clean")
        for step in self.steps:
            stages = step.degradation.stages
            if self.where not in stages:
                raise UsageError(
                    f"{step.name!r} does not act @{self.where}",
                    f"it acts {' or '.join('@' + stage for stage in stages)}: use a separate condition for {step.name}",
                )

    @cached_property
    def name(self) -> str:
        """The canonical text, as in the column ``condition`` of a scores table.

        >>> from dfbench.degrade import parse
        >>> [parse(text).name for text in ("jpeg:q=60", "mean@source", "h264:crf=40", "resize:scale=.25")]
        ['JP60', 'ME5@source', 'h264:crf=40@clip', 'resize:scale=0.25']
        """
        if not self.steps:
            return CLEAN
        chain = "+".join(map(str, self.steps))
        return chain if self.where == "crop" else f"{chain}@{self.where}"

    @property
    def is_clean(self) -> bool:
        """Whether there are no steps."""
        return not self.steps

    @property
    def family(self) -> str:
        """Name of the degradation, several joined by ``+``, with the stage if it is not the default.

        >>> from dfbench.degrade import parse
        >>> [parse(text).family for text in ("JP60", "JP60@source", "JP60+ME5", "h264", "clean")]
        ['jpeg', 'jpeg@source', 'jpeg+mean', 'h264', 'clean']
        """
        names = "+".join(step.name for step in self.steps) or CLEAN
        return names if self.where == default_stage(self.steps) else f"{names}@{self.where}"

    @property
    def severity(self) -> int | None:
        """1 to 5 if this is a degradation at one of its severities, else ``None``."""
        if len(self.steps) != 1:
            return None
        degradation, (first, *others) = self.steps[0].degradation, [value for _, value in self.steps[0].values]
        if first not in degradation.levels or others != [p.default for p in degradation.parameters[1:]]:
            return None
        return degradation.levels.index(first) + 1

    def __str__(self) -> str:
        """Return the canonical text."""
        return self.name
