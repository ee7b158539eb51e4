"""What degradations did to the detectors of a report: a summary, and every cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.evaluation.run import Run
from dfbench.report.rows import Row
from dfbench.report.tables import DASH, in_percent
from dfbench.schema.result import ConditionDrop, Robustness

MOST_CONDITIONS = 12
"""A table with more conditions shows those that were asked for by name alone; a suite has a section of its own."""

SUMMARY_HEAD = ("model", "data", "metric", "clean", "mean over families", "drop", "worst", "under")
CELL_HEAD = ("model", "data", "metric", "condition", "family", "severity", "value", "drop")


@dataclass(frozen=True)
class Judged:
    """The summary of one metric of one run, under the run's label."""

    label: str
    found: Robustness

    @property
    def data(self) -> str:
        """Data set and subset, as in ``ff++/c23``."""
        return f"{self.found.dataset}/{self.found.subset}"


def judged(runs: Sequence[Run]) -> list[Judged]:
    """The summaries of all runs, by data set, subset and metric; detectors in the order given."""
    found = [Judged(run.label, part) for run in runs for part in run.result.robustness]
    names = list(dict.fromkeys(j.found.name for j in found))
    return sorted(found, key=lambda j: (j.data, names.index(j.found.name)))


def summary_cells(one: Judged, span: str = "-") -> tuple[str, ...]:
    """A line under :data:`SUMMARY_HEAD`, in percent."""
    found = one.found
    worst = next((cell for cell in found.cells if cell.condition == found.worst), None)
    return (
        one.label,
        one.data,
        found.name,
        in_percent(found.value),
        in_percent(found.mean, found.mean_low, found.mean_high, span=span),
        in_percent(found.drop, found.drop_low, found.drop_high, span=span),
        in_percent(worst.value if worst else None),
        found.worst or DASH,
    )


def drop_cells(one: Judged, cell: ConditionDrop, span: str = "-") -> tuple[str, ...]:
    """A line under :data:`CELL_HEAD`, in percent."""
    return (
        one.label,
        one.data,
        one.found.name,
        cell.condition,
        cell.family,
        str(cell.severity or DASH),
        in_percent(cell.value),
        in_percent(cell.drop, cell.low, cell.high, span=span),
    )


def cells_csv(found: Sequence[Judged]) -> str:
    """Every cell as CSV: fractions in full precision."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["model", "dataset", "subset", "metric", "baseline", "condition", "family", "severity", "value", "drop",
         "drop_low", "drop_high"]
    )  # fmt: skip
    for one in found:
        part = one.found
        for cell in part.cells:
            line = [one.label, part.dataset, part.subset, part.name, part.value, cell.condition, cell.family]
            line += [cell.severity, cell.value, cell.drop, cell.low, cell.high]
            writer.writerow(["" if item is None else item for item in line])
    return stream.getvalue()


def left_out(runs: Sequence[Run]) -> list[str]:
    """One sentence for each reason why conditions of a suite were left out of a run."""
    sentences = []
    for run in runs:
        by_reason: dict[str, list[str]] = {}
        for name, reason in run.result.unavailable.items():
            by_reason.setdefault(reason, []).append(name)
        sentences += [f"{run.label} was not tested under {', '.join(c)}: {why}." for why, c in by_reason.items()]
    return sentences


def without_suite(rows: Sequence[Row]) -> list[Row]:
    """The rows that a table shows: all, or where there are too many conditions those that were asked for by name."""
    conditions = {row.condition for row in rows}
    if len(conditions) <= MOST_CONDITIONS:
        return list(rows)
    asked = {row.condition for row in rows if row.manipulation != "all"} | {"clean"}
    return [row for row in rows if row.condition in (asked & conditions or conditions)]
