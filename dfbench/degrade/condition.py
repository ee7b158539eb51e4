"""A condition as a value: degradations one after the other, and where they act."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dfbench.degrade.base import PLACES, Degradation, Place, Value
from dfbench.degrade.registry import ALIASES, get_degradation
from dfbench.errors import UsageError, unknown_name

CLEAN = "clean"
"""The condition of an untouched sample."""

_PAPER_NAMES = {spec: alias for alias, spec in ALIASES.items()}


@dataclass(frozen=True)
class Step:
    """One degradation with a value for every parameter, in the order of its parameters."""

    name: str
    values: tuple[tuple[str, Value], ...]

    @property  # not kept: a condition crosses process borders, its functions need not
    def degradation(self) -> Degradation:
        """What it does."""
        return get_degradation(self.name)

    @cached_property
    def settings(self) -> dict[str, Value]:
        """The values by parameter."""
        return dict(self.values)

    def __str__(self) -> str:
        """The spec: the first parameter always, the others where they differ from their defaults."""
        told = [
            f"{parameter.name}={value if isinstance(value, str) else f'{value:g}'}"
            for parameter, (_, value) in zip(self.degradation.parameters, self.values, strict=True)
            if parameter is self.degradation.parameters[0] or value != parameter.default
        ]
        spec = f"{self.name}:{','.join(told)}"
        return _PAPER_NAMES.get(spec, spec)


def default_place(steps: tuple[Step, ...]) -> Place:
    """Where steps act if nothing is said: on the clip where one of them can nowhere else, otherwise on the crop."""
    return "clip" if any(step.degradation.on_image is None for step in steps) else "crop"


@dataclass(frozen=True)
class Condition:
    """Degradations one after the other and where they act; no steps are the untouched sample.

    Attributes:
        steps: applied from the first to the last.
        where: ``crop``, ``source`` or ``clip``.

    Raises:
        UsageError: a degradation does not act there.
    """

    steps: tuple[Step, ...] = ()
    where: Place = "crop"

    def __post_init__(self) -> None:
        """Check the place."""
        if self.where not in PLACES:
            raise unknown_name("place", self.where, PLACES)
        if not self.steps and self.where != "crop":
            raise UsageError(f"clean@{self.where} is not a condition", "nothing acts nowhere: write clean")
        for step in self.steps:
            places = step.degradation.places
            if self.where not in places:
                raise UsageError(
                    f"{step.name!r} does not act @{self.where}",
                    f"it acts {' or '.join('@' + place for place in places)}: give {step.name} a condition of its own",
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
        """Whether nothing is done."""
        return not self.steps

    @property
    def family(self) -> str:
        """The name of the degradation, several joined by ``+``, with its place where that is not the default.

        >>> from dfbench.degrade import parse
        >>> [parse(text).family for text in ("JP60", "JP60@source", "JP60+ME5", "h264", "clean")]
        ['jpeg', 'jpeg@source', 'jpeg+mean', 'h264', 'clean']
        """
        names = "+".join(step.name for step in self.steps) or CLEAN
        return names if self.where == default_place(self.steps) else f"{names}@{self.where}"

    @property
    def severity(self) -> int | None:
        """1 to 5 where this is a degradation at one of its severities, else ``None``."""
        if len(self.steps) != 1:
            return None
        degradation, (first, *others) = self.steps[0].degradation, [value for _, value in self.steps[0].values]
        if first not in degradation.levels or others != [p.default for p in degradation.parameters[1:]]:
            return None
        return degradation.levels.index(first) + 1

    def __str__(self) -> str:
        """The canonical text."""
        return self.name
