"""A paper table as values: published numbers, dfbench results beside them, and the commands for the empty cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean, stdev

from dfbench.evaluation.run import Run
from dfbench.metrics import majority, parse_metric
from dfbench.report.papers.commands import FillCommands
from dfbench.report.papers.definition import OwnResult, PaperColumn, PaperMethod, PaperTable
from dfbench.report.papers.grid import Grid, PaperCell, PaperRow, mean_of
from dfbench.report.papers.matching import MatchingRun, differing, matching_runs, row_of
from dfbench.report.papers.matrix import Trained, is_within, means, trained_manipulations
from dfbench.report.rows import informative_metrics
from dfbench.schema.published import PublishedNumber, rows_where
from dfbench.schema.result import MAJORITY

PERCENT = 100.0
SOURCES = ("paper", "dfbench")
"""Sources whose values are compared with one another."""


def build(table: PaperTable, published: Sequence[PublishedNumber], runs: Sequence[Run]) -> Grid:
    """Combine the published numbers with those of the runs.

    Args:
        table: the definition.
        published: all published numbers.
        runs: runs; those that belong in no cell are skipped.
    """
    numbers = table.numbers(published)
    commands, trained = FillCommands(), trained_manipulations(table)
    lines: list[PaperRow] = []
    for row in (*table.row, *_others(table, runs)):
        lines += _paper_lines(table, row, numbers, trained) if row.method else []
        lines += _our_lines(table, row, runs, commands, trained) if row.model else []
    lines += [*_baselines(table), *_measured_baselines(table, lines)]
    return Grid(table, tuple(_with_differences(_with_best(table, lines))), commands.texts())


def published_number(
    column: PaperColumn, row: PaperMethod, numbers: Sequence[PublishedNumber]
) -> PublishedNumber | None:
    """Return the published number of a cell; None if there is none or it is unknown."""
    if column.published is None:
        return None
    found = rows_where(numbers, {"method": row.method} | row.where | column.published)
    return found[0] if found else None


def _paper_lines(
    table: PaperTable, row: PaperMethod, numbers: Sequence[PublishedNumber], trained: Trained
) -> list[PaperRow]:
    """Return the published lines of a method; of a matrix those with a number."""
    lines = [_paper_line(table, line, numbers, trained) for line in table.lines_of(row)]
    return [line for line in lines if not table.train or any(cell.value is not None for cell in line.cells)]


def _paper_line(table: PaperTable, row: PaperMethod, numbers: Sequence[PublishedNumber], trained: Trained) -> PaperRow:
    found = [published_number(column, row, numbers) for column in table.column]
    cells = (
        PaperCell(None if number is None else number.value, within=is_within(trained, table.ours(column, row)))
        for column, number in zip(table.column, found, strict=True)
    )
    return PaperRow(row.name, "paper", tuple(cells), row)


def _our_lines(
    table: PaperTable, row: PaperMethod, runs: Sequence[Run], commands: FillCommands, trained: Trained
) -> list[PaperRow]:
    """Return the dfbench lines of a method; of a matrix with a value, the means over the training data below them."""
    lines = [_our_line(table, line, runs, commands, trained) for line in table.lines_of(row)]
    return lines + (means(table, row, lines) if table.train else [])


def _our_line(
    table: PaperTable, row: PaperMethod, runs: Sequence[Run], commands: FillCommands, trained: Trained
) -> PaperRow:
    cells: dict[str, PaperCell] = {}
    for column in table.column:
        ours = table.ours(column, row)
        if ours is not None:
            cell = _our_cell(table, ours, row, runs, commands)
            cells[column.head] = replace(cell, within=is_within(trained, ours))
    for column in table.column:
        if column.average_of:
            averaged = [cells[head] for head in column.average_of if head in cells]
            cells[column.head] = mean_of([cell for cell in averaged if not (column.across and cell.within)])
    return PaperRow(row.name, "dfbench", tuple(cells.get(column.head, PaperCell()) for column in table.column), row)


def _our_cell(
    table: PaperTable, ours: OwnResult, row: PaperMethod, runs: Sequence[Run], commands: FillCommands
) -> PaperCell:
    fits = matching_runs(table, ours, row, runs)
    known = [fit.value.value for fit in fits if fit.value.value is not None]
    if not fits:
        return PaperCell(command=commands.number(ours, row))
    if len(known) < len(fits):
        return PaperCell(fits=tuple(fits), reason=next(f.value.undefined or "" for f in fits if f.value.value is None))
    first = fits[0].value
    alone = len(fits) == 1
    return PaperCell(
        value=PERCENT * fmean(known),
        low=PERCENT * first.low if alone and first.low is not None else None,
        high=PERCENT * first.high if alone and first.high is not None else None,
        std=None if alone else PERCENT * stdev(known),
        n=first.n,
        fits=tuple(fits),
    )


def _others(table: PaperTable, runs: Sequence[Run]) -> list[PaperMethod]:
    """Return rows for detectors that the paper does not have, of runs that match a cell."""
    found: dict[str, PaperMethod] = {}
    for run in runs:
        row = row_of(run)
        listed = [r for r in table.row if r.model == row.model]
        if listed and row == PaperMethod(model=row.model):
            row = row.model_copy(update={"label": f"{row.model}, default options"})
        if not any(_takes(table, r, run) for r in listed) and _takes(table, row, run):
            options = (sorted(row.options.items()), sorted(row.method_options.items()))
            found.setdefault(repr((row.model, row.preset, row.training_method, options)), row)
    return list(found.values())


def _takes(table: PaperTable, row: PaperMethod, run: Run) -> bool:
    """Check whether a run belongs in a cell of a row."""
    return any(matching_runs(table, ours, line, [run]) for ours, line in table.cells_of(row))


def _baselines(table: PaperTable) -> list[PaperRow]:
    return [
        PaperRow(
            baseline.name, "baseline", tuple(PaperCell(baseline.values.get(column.head)) for column in table.column)
        )
        for baseline in table.baseline
    ]


def _measured_baselines(table: PaperTable, lines: Sequence[PaperRow]) -> list[PaperRow]:
    """Return the trivial baselines on the test samples of the runs."""
    rows: dict[str, dict[int, float]] = {}
    for index, column in enumerate(table.column):
        fits = [fit for line in lines if line.source == "dfbench" for fit in line.cells[index].fits]
        if fits and column.ours is not None:
            for name, value in _trivial_baselines(fits[0], parse_metric(column.ours.metric).metric):
                rows.setdefault(name, {})[index] = PERCENT * value
    columns = range(len(table.column))
    return [
        PaperRow(measured_on(name), "baseline", tuple(PaperCell(values.get(i)) for i in columns))
        for name, values in rows.items()
    ]


def measured_on(name: str) -> str:
    """Return the name of the row of a trivial baseline that was measured on the test samples of the runs."""
    return f"{name}, on the tested samples"


def _trivial_baselines(fit: MatchingRun, metric: str) -> Iterator[tuple[str, float]]:
    mine, result = fit.value, fit.run.result
    if metric == "acc" and not result.classes:
        yield MAJORITY, majority(mine.n, mine.n_positive)
    for baseline in result.baselines:
        for v in baseline.metrics if baseline.name == MAJORITY else informative_metrics(baseline):
            same = (v.name, v.dataset, v.subset, v.manipulation, v.condition)
            if v.value is not None and same == (
                mine.name,
                mine.dataset,
                mine.subset,
                mine.manipulation,
                mine.condition,
            ):
                yield baseline.name, v.value


def _with_best(table: PaperTable, lines: Sequence[PaperRow]) -> list[PaperRow]:
    """Mark the best of each column: of the published numbers and of dfbench results, with the same training data."""
    groups = dict.fromkeys((line.source, line.trained_on) for line in lines if line.source in SOURCES)
    best = {(*group, n): _best(table, lines, group, n) for group in groups for n in range(len(table.column))}

    def marked(line: PaperRow, index: int) -> PaperCell:
        cell = line.cells[index]
        is_best = cell.value is not None and cell.value == best.get((line.source, line.trained_on, index))
        return replace(cell, best=is_best)

    return [replace(line, cells=tuple(marked(line, index) for index in range(len(line.cells)))) for line in lines]


def _with_differences(lines: Sequence[PaperRow]) -> list[PaperRow]:
    """Test the dfbench results of each column, averaged over their training seeds, against the best one.

    In a matrix those with the same training data are tested against each other.
    """
    found: dict[tuple[int, int], bool | None] = {}
    groups = dict.fromkeys(line.trained_on for line in lines)
    for index, group in product(range(len(lines[0].cells)), groups):
        filled = [n for n, line in enumerate(lines) if line.cells[index].fits and line.trained_on == group]
        first = next((n for n in filled if lines[n].cells[index].best), None)
        if first is None:
            continue
        others = [n for n in filled if n != first]
        fits = [lines[n].cells[index].fits for n in (first, *others)]
        for n, differs in zip(others, differing(fits[0], fits[1:]), strict=True):
            found[n, index] = differs
    return [
        replace(line, cells=tuple(replace(c, differs=found.get((n, index))) for index, c in enumerate(line.cells)))
        for n, line in enumerate(lines)
    ]


def _best(table: PaperTable, lines: Sequence[PaperRow], group: tuple[str, str], index: int) -> float | None:
    alike = [line for line in lines if (line.source, line.trained_on) == group]
    known = [v for line in alike if (v := line.cells[index].value) is not None]
    if not known:
        return None
    return min(known) if table.column[index].lower_is_better else max(known)
