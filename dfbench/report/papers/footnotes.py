"""What stands under a paper's table: marks, rules that differ, what the paper leaves open, and the filling commands."""

from __future__ import annotations

from collections.abc import Iterable

from dfbench.evaluation.run import Run
from dfbench.metrics import parse_metric
from dfbench.protocols.files import load_protocol
from dfbench.protocols.needs import prepare_commands
from dfbench.protocols.protocol import Protocol
from dfbench.report.papers.build import Cell, Grid
from dfbench.report.papers.matching import options_of, published_pretrained
from dfbench.schema.published import PublishedNumber, rows_where


def notes(grid: Grid, published: Iterable[PublishedNumber]) -> list[str]:
    """Sentences on what the table is, without the commands."""
    numbers = rows_where(published, grid.table.published)
    return [
        "Percent. paper: as published, under the paper's own rules; dfbench: measured here, with the 95 % interval of "
        "one run, or the standard deviation over training seeds (±).",
        *_marks(grid),
        *(f"{floor.name}: {floor.basis}." for floor in grid.table.floor),
        *_levels(grid, numbers),
        *(f"Published: {text}" for text in grid.table.note),
        *_protocols(grid),
        *_runs(grid),
        *_empty(grid),
    ]


def filling(grid: Grid) -> list[str]:
    """The commands that make the manifests and fill the empty cells, numbered as the cells are."""
    if not grid.commands:
        return []
    loaded = [load_protocol(name) for name in grid.table.protocols()]
    return [
        *(f"first: {command}" for command in prepare_commands(loaded)),
        *(f"({number}) {command}" for number, command in enumerate(grid.commands, start=1)),
    ]


def _cells(grid: Grid) -> list[Cell]:
    return [cell for line in grid.lines for cell in line.cells]


def _marks(grid: Grid) -> list[str]:
    lines = []
    if any(cell.best for cell in _cells(grid)):
        lines.append("Marked as best: the best of its kind, published or measured, in each column.")
    if any(cell.differs is not None for cell in _cells(grid)):
        lines.append(
            "†: differs from the best of ours beyond chance (paired bootstrap over scene groups on the same samples, "
            "Holm's correction within the column, 5 %)."
        )
    return lines


def _levels(grid: Grid, numbers: Iterable[PublishedNumber]) -> list[str]:
    lines = []
    rows = list(numbers)
    for column in grid.table.column:
        if column.ours is None or column.published is None:
            continue
        ours = parse_metric(column.ours.metric).level
        theirs = {row.level for row in rows_where(rows, column.published)} - {ours}
        if theirs:
            lines.append(f"{column.head}: published at level {', '.join(sorted(theirs))}, ours at level {ours}.")
    return lines


def _protocols(grid: Grid) -> list[str]:
    loaded = [load_protocol(name) for name in grid.table.protocols()]
    rules = [f"Ours: {p.name} version {p.version} ({p.hash[:12]}): {_rules(p)}." for p in loaded]
    cautions = [f"Caution, {p.name}: {p.caution}." for p in loaded if p.caution]
    unknown = dict.fromkeys(text for p in loaded for text in p.unverified)
    return [*rules, *cautions, *(f"Open: {text}" for text in unknown)]


def _rules(protocol: Protocol) -> str:
    p = protocol
    chosen = "the last epoch" if p.selection.split == "none" else f"{p.selection.metric} on {p.selection.split}"
    return (
        f"{p.crops.profile} crops of {p.crops.size} px, trained {p.conditions.train}, tested "
        f"{', '.join(p.conditions.test)}, weights by {chosen}, samples without a score: {p.failure_policy}"
    )


def _runs(grid: Grid) -> list[str]:
    lines: dict[str, None] = {}
    for line in grid.lines:
        for cell in line.cells:
            if cell.reason:
                lines[f"{line.name}: no value: {cell.reason}."] = None
            for fit in cell.fits:
                lines |= dict.fromkeys(_start(line.name, fit.run))
                if fit.value.coverage < 1:
                    covered = f"{100 * fit.value.coverage:.1f} % of the samples have a score"
                    lines[f"{line.name}: run {fit.run.result.run_id}: {covered}."] = None
                if fit.value.interval_note:
                    text = "No interval" if fit.value.low is None else "Interval without width"
                    lines[f"{text}: {fit.value.interval_note}."] = None
    return list(lines)


def _start(name: str, run: Run) -> list[str]:
    """What the run's training started from, where it is said or the published detector started from ImageNet."""
    given = options_of(run)
    if "pretrained" in given:
        return [f"{name}: run {run.result.run_id} with pretrained={given['pretrained']}."]
    if published_pretrained(run.result.model):
        return [f"Run {run.result.run_id} of {name} started from random weights, the published one from ImageNet's."]
    return []


def _empty(grid: Grid) -> list[str]:
    if any(cell.value is None for line in grid.lines if line.whose == "paper" for cell in line.cells):
        return ["A dash in a published row: the source prints no number there, or none that could be read."]
    return []
