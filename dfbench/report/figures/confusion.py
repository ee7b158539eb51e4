"""Confusion matrices of multi-class runs, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfbench.metrics import confusion_matrix
from dfbench.report.figures.figure_data import Shown


@dataclass(frozen=True)
class Cell:
    """How many samples of one class are called another, and their share of the class in percent."""

    count: int
    percent: float
    right: bool


@dataclass(frozen=True)
class Matrix:
    """One detector on one data set, subset and condition.

    Attributes:
        title: detector, data and level.
        classes: names, in the order of the logits; columns are what a sample is called.
        lines: true class, its samples, and its cells; classes without a sample are left out.
    """

    title: str
    classes: tuple[str, ...]
    lines: tuple[tuple[str, int, tuple[Cell, ...]], ...]


def matrices(shown: Shown) -> list[Matrix]:
    """One matrix for every multi-class detector and every place that is shown."""
    found = []
    for place in shown.places:
        for seen in shown.detectors:
            samples = seen.samples.get(place)
            if samples is None or samples.classes is None or not len(samples.classes.truth):
                continue
            counts = confusion_matrix(samples.classes.truth, samples.classes.called, len(seen.classes))
            lines = tuple(
                (name, int(row.sum()), tuple(_cells(row, number)))
                for number, (name, row) in enumerate(zip(seen.classes, counts, strict=True))
                if row.sum()
            )
            found.append(Matrix(f"{seen.label}: {shown.title(place)}", seen.classes, lines))
    return found


def _cells(row: NDArray[np.int64], number: int) -> list[Cell]:
    shares = 100 * row / row.sum()
    return [Cell(int(n), float(p), i == number) for i, (n, p) in enumerate(zip(row, shares, strict=True))]
