"""A paper table as values: cells, rows and the commands for the empty cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.report.papers.definition import PaperMethod, PaperTable
from dfbench.report.papers.matching import MatchingRun


@dataclass(frozen=True)
class PaperCell:
    """One number, in percent.

    Attributes:
        value: the value; None if there is none.
        low: lower end of the 95 % interval of a single run.
        high: upper end of that interval.
        std: standard deviation over the training seeds of several runs.
        best: whether it is the best of its source in the column.
        differs: whether it differs significantly from the best dfbench result; None if not tested.
        n: number of frames or videos.
        fits: the runs it comes from.
        command: number of the command that fills it; None if it is filled, or no command can.
        reason: why there is no value although there is a run.
        within: in a matrix: whether the manipulation that is tested on is one of those trained on.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    best: bool = False
    differs: bool | None = None
    n: int = 0
    fits: tuple[MatchingRun, ...] = ()
    command: int | None = None
    reason: str = ""
    within: bool = False


@dataclass(frozen=True)
class PaperRow:
    """One row of a paper table.

    Attributes:
        name: name of the method or trivial baseline.
        source: ``paper``, ``dfbench`` or ``baseline``.
        cells: one per column.
        method: definition of the row; None for baselines.
    """

    name: str
    source: str
    cells: tuple[PaperCell, ...]
    method: PaperMethod | None = None

    @property
    def trained_on(self) -> str:
        """In a matrix: what the detector of the row was trained on; else empty."""
        return self.method.trained_on if self.method else ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Training seeds of the runs behind the row."""
        found = {fit.value.seed for cell in self.cells for fit in cell.fits}
        return tuple(sorted(s for s in found if s is not None))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of frames or videos of the cells."""
        return tuple(dict.fromkeys(cell.n for cell in self.cells if cell.n))


@dataclass(frozen=True)
class Grid:
    """A complete table.

    Attributes:
        table: its definition.
        lines: the rows.
        commands: commands that fill the empty cells; the ``command`` of a cell counts from 1.
    """

    table: PaperTable
    lines: tuple[PaperRow, ...]
    commands: tuple[str, ...] = ()


def mean_of(cells: Sequence[PaperCell]) -> PaperCell:
    """Return the mean of cells; empty if one of them has no value, or there are none."""
    known = [cell.value for cell in cells if cell.value is not None]
    return PaperCell(math.fsum(known) / len(known)) if known and len(known) == len(cells) else PaperCell()
