"""What a degradation is: parameters with units and ranges, five severities, where it acts, its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dfbench.errors import UsageError, unknown_name

Image = NDArray[np.uint8]
"""uint8 (height, width, 3), RGB."""

Value = int | float | str
Values = Mapping[str, Value]

Draw = Callable[[], np.random.Generator]
"""Makes the random numbers of one step on one picture; a step that draws nothing never calls it."""

OnImage = Callable[[Image, Values, Draw], Image]
"""Degrade one picture; the result has its shape."""

OnClip = Callable[[Iterable[Image], Values, float], Iterator[Image]]
"""Degrade a clip (frames, values, frames per second): as many frames out as in, in their order."""

Place = Literal["crop", "source", "clip"]
PLACES: tuple[Place, ...] = ("crop", "source", "clip")
"""Where a condition acts: the face crop; the frame or still picture at its own resolution; the whole clip."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a degradation.

    Attributes:
        name: as written in a spec.
        meaning: what it does, with its unit.
        default: value where the spec does not say.
        low: smallest value.
        high: largest value.
        whole: only whole numbers.
        odd: only odd whole numbers.
        choices: the words it takes, for a parameter that is no number.
    """

    name: str
    meaning: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    odd: bool = False
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """The values it takes, in words.

        >>> Parameter("q", "quality", 75, 1, 100, whole=True).range
        'a whole number from 1 to 100'
        """
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = "an odd number" if self.odd else "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def read(self, text: str, degradation: str) -> Value:
        """The value that a spec's text stands for.

        Raises:
            UsageError: it is no such value, or out of range.
        """
        if self.choices:
            if text not in self.choices:
                raise unknown_name(f"{self.name} of {degradation}", text, self.choices)
            return text
        try:
            # What is kept is what is printed: six digits, so that a condition's name reads back as itself.
            number = float(f"{float(text):.6g}")
        except ValueError:
            number = float("nan")
        if not self.low <= number <= self.high or (self.whole and number % 1) or (self.odd and number % 2 == 0):
            raise UsageError(
                f"{self.name}={text} of {degradation!r} is out of range",
                f"{self.name} is {self.range} ({self.meaning})",
            )
        return int(number) if self.whole else number


@dataclass(frozen=True, eq=False)
class Degradation:
    """A degradation as ``dfbench list degradations`` shows it.

    Attributes:
        name: as written in a spec; also its family in the results of a suite.
        group: ``compression``, ``blur``, ``noise``, ``resolution``, ``tone``, ``geometry`` or ``video``.
        summary: what it does, in one line.
        parameters: the first one is the one that severities change.
        levels: its value at severity 1 to 5.
        rule: how the five were chosen.
        source: where definition and values come from.
        places: where it may act; the first is the default.
        note: what whoever reads its numbers must know; may be empty.
        on_image: on one picture, if it can.
        on_clip: on a clip as a whole, if it does that otherwise than picture by picture.
        missing: what this machine lacks for it at a place; ``None`` for nothing.
    """

    name: str
    group: str
    summary: str
    parameters: tuple[Parameter, ...]
    levels: tuple[Value, Value, Value, Value, Value]
    rule: str
    source: str
    places: tuple[Place, ...] = PLACES
    note: str = ""
    on_image: OnImage | None = None
    on_clip: OnClip | None = None
    missing: Callable[[Place], str | None] = lambda place: None

    @property
    def deterministic(self) -> str:
        """``exact``: the same bytes under the pinned versions; ``tolerance``: video codecs vary a little."""
        return "tolerance" if self.on_clip else "exact"

    def parameter(self, name: str) -> Parameter:
        """One parameter.

        Raises:
            UsageError: it has none of that name.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise unknown_name(f"parameter of {self.name}", name, [p.name for p in self.parameters])
