"""Robustness of the detectors of a report: summaries over families, and every condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.evaluation.run import Run
from dfbench.report.formats import csv_text
from dfbench.report.rows import ResultRow
from dfbench.report.table_notes import UNITS
from dfbench.report.tables import DASH, in_percent
from dfbench.schema.result import ConditionDrop, Robustness

MOST_CONDITIONS = 12
"""With more conditions, tables show only those requested by name; a suite has its own section."""

SUMMARY_HEAD = ("model", "data", "metric", "clean", "mean over families", "drop", "worst", "under")
CONDITION_HEAD = ("model", "data", "metric", "condition", "family", "severity", "value", "drop")
_DROP_FIELDS = ("condition", "family", "severity", "value", "drop", "low", "high")


@dataclass(frozen=True)
class RunRobustness:
    """The robustness of one run by one metric, with the label of the run."""

    label: str
    found: Robustness

    @property
    def data(self) -> str:
        """Data set and subset, as in ``ff++/c23``."""
        return f"{self.found.dataset}/{self.found.subset}"


def robustness_summaries(runs: Sequence[Run]) -> list[RunRobustness]:
    """Return the summaries of all runs by data set, subset and metric; detectors in the order given."""
    found = [RunRobustness(run.label, part) for run in runs for part in run.result.robustness]
    names = list(dict.fromkeys(j.found.name for j in found))
    return sorted(found, key=lambda j: (j.data, names.index(j.found.name)))


def summary_cells(one: RunRobustness, span: str = "-") -> tuple[str, ...]:
    """Return the cells of a row under :data:`SUMMARY_HEAD`, in percent."""
    found = one.found
    worst = next((drop for drop in found.cells if drop.condition == found.worst), None)
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


def drop_cells(one: RunRobustness, drop: ConditionDrop, span: str = "-") -> tuple[str, ...]:
    """Return the cells of a row under :data:`CONDITION_HEAD`, in percent."""
    return (
        one.label,
        one.data,
        one.found.name,
        drop.condition,
        drop.family,
        str(drop.severity or DASH),
        in_percent(drop.value),
        in_percent(drop.drop, drop.low, drop.high, span=span),
    )


def _slice_fields(one: RunRobustness) -> tuple[str | float | None, ...]:
    return one.found.dataset, one.found.subset, one.found.name, one.found.value


def robustness_csv(found: Sequence[RunRobustness]) -> str:
    """Write every condition as CSV, fractions in full precision."""
    header = ["model", "dataset", "subset", "metric", "baseline", "condition", "family", "severity", "value"]
    rows = [
        (
            *(one.label, *_slice_fields(one)),
            *(getattr(drop, name) for name in _DROP_FIELDS),
            *(one.found.interval_method if drop.low is not None else None, one.found.cluster, one.found.n_clusters),
        )
        for one in found
        for drop in one.found.cells
    ]
    return csv_text([*header, "drop", "drop_low", "drop_high", "interval_method", "cluster", "n_clusters"], rows)


def interval_notes(found: Sequence[RunRobustness]) -> list[str]:
    """Return the methods of the intervals and what is taken as independent, and why intervals are missing."""
    parts = [one.found for one in found]
    known = [part for part in parts if part.interval_method]
    methods = ", ".join(dict.fromkeys(f"{part.interval_method} ({part.name})" for part in known))
    units = " or ".join(dict.fromkeys(f"{part.n_clusters} {UNITS.get(part.cluster, part.cluster)}" for part in known))
    said = [f"Intervals of 95 %: {methods}, over {units}; drops are paired."] if known else []
    return [*said, *dict.fromkeys(part.interval_note for part in parts if part.interval_note)]


def unavailable_notes(runs: Sequence[Run]) -> list[str]:
    """Return one sentence per reason why conditions of a suite were skipped in a run."""
    sentences = []
    for run in runs:
        by_reason: dict[str, list[str]] = {}
        for name, reason in run.result.unavailable.items():
            by_reason.setdefault(reason, []).append(name)
        sentences += [f"{run.label} was not evaluated under {', '.join(c)}: {why}." for why, c in by_reason.items()]
    return sentences


def without_suite(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows that a table shows: all, or with too many conditions those requested by name."""
    conditions = {row.condition for row in rows}
    if len(conditions) <= MOST_CONDITIONS:
        return list(rows)
    named = {row.condition for row in rows if row.manipulation != "all"} | {"clean"}
    return [row for row in rows if row.condition in (named & conditions or conditions)]
