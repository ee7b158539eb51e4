"""The definition of a degradation: parameters with units and ranges, five severities, stages, source."""

from __future__ import annotations

import math
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
"""Returns the generator of random numbers for one step on one image; a step that is not random never calls it."""

OnImage = Callable[[Image, Values, Draw], Image]
"""Degrades one image; the result has the same shape."""

OnClip = Callable[[Iterable[Image], Values, float], Iterator[Image]]
"""Degrades a clip (frames, values, frames per second) and yields as many frames, in their order."""

Stage = Literal["crop", "source", "clip"]
STAGES: tuple[Stage, ...] = ("crop", "source", "clip")
"""Where a condition acts: on the face crop, on the frame or still image at its own resolution, or on the whole clip."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a degradation.

    Attributes:
        name: as written in a spec.
        meaning: what it does, with its unit.
        default: value if the spec does not give one.
        low: smallest value.
        high: largest value.
        whole: only whole numbers.
        odd: only odd whole numbers.
        choices: the allowed words, for a parameter that is not a number.
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
        """The allowed values as text.

        >>> Parameter("q", "quality", 75, 1, 100, whole=True).range
        'a whole number from 1 to 100'
        """
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = "an odd number" if self.odd else "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def read(self, text: str, degradation: str) -> Value:
        """Return the value that a spec's text represents.

        Raises:
            UsageError: it is not a valid value, or out of range.
        """
        if self.choices:
            if text not in self.choices:
                raise unknown_name(f"{self.name} of {degradation}", text, self.choices)
            return text
        try:
            # Six digits are kept, as many as are printed, so that parsing a condition's name gives the same condition.
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
        name: as written in a spec; also the family in the results of a suite.
        group: ``compression``, ``blur``, ``noise``, ``resolution``, ``tone``, ``geometry`` or ``video``.
        summary: what it does, in one line.
        parameters: the first one is varied by severities.
        levels: its value at severity 1 to 5.
        rule: how the five levels were chosen.
        source: origin of definition and values.
        stages: where it can act; the first is the default.
        note: remark on the interpretation of results; may be empty.
        on_image: degrades one image; None if it cannot act on single images.
        on_clip: degrades a clip as a whole; None if it acts frame by frame.
        missing: stage -> what this machine lacks for it; ``None`` for nothing.
    """

    name: str
    group: str
    summary: str
    parameters: tuple[Parameter, ...]
    levels: tuple[Value, Value, Value, Value, Value]
    rule: str
    source: str
    stages: tuple[Stage, ...] = STAGES
    note: str = ""
    on_image: OnImage | None = None
    on_clip: OnClip | None = None
    missing: Callable[[Stage], str | None] = lambda stage: None

    @property
    def deterministic(self) -> str:
        """``exact``: the same bytes with the pinned versions; ``tolerance``: video codecs vary slightly."""
        return "tolerance" if self.on_clip else "exact"

    def parameter(self, name: str) -> Parameter:
        """Return a parameter by name.

        Raises:
            UsageError: no parameter has that name.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise unknown_name(f"parameter of {self.name}", name, [p.name for p in self.parameters])


def psnr(image: Image, reference: Image) -> float:
    """Return the peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal images.

    >>> grey = np.full((4, 4, 3), 100, np.uint8)
    >>> round(psnr(grey + np.uint8(16), grey), 2)
    24.05
    """
    error = float(np.mean((image.astype(np.float64) - reference) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
