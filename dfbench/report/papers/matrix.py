"""Matrices of what detectors are trained on and tested on: which cells are within, and means over the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfbench.protocols.files import load_protocol
from dfbench.report.papers.definition import OwnResult, PaperMethod, PaperTable
from dfbench.report.papers.grid import PaperCell, PaperRow, mean_of

MEAN_OF_OTHERS = "the others (mean)"
"""What a line of means is trained on: for each column all training data without what the column tests."""

Trained = Mapping[tuple[str, str], tuple[str, ...]]
"""Protocol and data set -> the manipulations that are trained on; an empty name stands for all."""


def trained_manipulations(table: PaperTable) -> Trained:
    """Return the manipulations that the protocols of a matrix train on; nothing for another table."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for protocol in table.protocols() if table.train else ():
        for part in load_protocol(protocol).data:
            if part.role == "train":
                key = (protocol, part.dataset)
                found[key] = (*found.get(key, ()), *(part.manipulations or ("",)))
    return found


def is_within(trained: Trained, ours: OwnResult | None) -> bool:
    """Check whether the manipulation that a cell tests is one of those that its protocol trains on."""
    if ours is None or ours.manipulation == "all":
        return False
    return not {ours.manipulation, ""}.isdisjoint(trained.get((ours.protocol, ours.dataset), ()))


def means(table: PaperTable, row: PaperMethod, lines: Sequence[PaperRow]) -> list[PaperRow]:
    """Return the line of means of a method, each without the cells within; none if no mean is complete.

    Args:
        table: a matrix.
        row: the method.
        lines: its lines, one for each set of training data.
    """
    heads = [column.head for column in table.column]
    across = {head: [line.cells[n] for line in lines if not line.cells[n].within] for n, head in enumerate(heads)}
    cells: list[PaperCell] = []
    for column in table.column:
        if column.average_of and not column.across:
            cells.append(PaperCell())
        else:
            averaged = column.average_of or (column.head,)
            cells.append(mean_of([cell for head in averaged for cell in across[head]]))
    if all(cell.value is None for cell in cells):
        return []
    return [PaperRow(row.name, "dfbench", tuple(cells), row.model_copy(update={"trained_on": MEAN_OF_OTHERS}))]
