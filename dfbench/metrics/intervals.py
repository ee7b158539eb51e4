"""Intervals and paired differences on plain arrays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IntervalEstimate:
    """A metric with its confidence interval.

    Formatting applies a format specification to the value and both ends; the default is three decimals.

    Attributes:
        value: the metric, a fraction (``logloss``: nats).
        low: lower end of the interval; None where there is none.
        high: upper end of the interval; None where there is none.
        n: number of samples: frames or videos.
        n_groups: number of independent groups the samples belong to.
        note: why there is no interval, or what limits it; None where there is nothing to say.

    >>> print(IntervalEstimate(0.7612, 0.7021, 0.8153, n=700, n_groups=140))
    0.761 [0.702, 0.815]
    >>> f"{IntervalEstimate(0.7612, 0.7021, 0.8153, n=700, n_groups=140):.1%}"
    '76.1% [70.2%, 81.5%]'
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_groups: int
    note: str | None = None

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if self.low is None or self.high is None:
            return format(self.value, spec)
        return f"{format(self.value, spec)} [{format(self.low, spec)}, {format(self.high, spec)}]"

    def __str__(self) -> str:
        return format(self)
