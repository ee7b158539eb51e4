"""A paper table as values: published numbers, dfbench results beside them, and the commands for the empty cells."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from dfbench.evaluation.run import Run
from dfbench.metrics import majority, parse_metric
from dfbench.report.papers.definition import OwnResult, PaperColumn, PaperMethod, PaperTable
from dfbench.report.papers.matching import (
    MatchingRun,
    differing,
    matching_runs,
    published_pretrained,
    row_of,
)
from dfbench.report.rows import informative_metrics
from dfbench.schema.published import PublishedNumber, rows_where
from dfbench.schema.result import MAJORITY

PERCENT = 100.0
SOURCES = ("paper", "dfbench")
"""Sources source values are compared with one another."""


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


@dataclass
class FillCommands:
    """The commands collected so far; rows that differ only in the model share one."""

    models: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def number(self, ours: OwnResult, row: PaperMethod) -> int:
        """Return the number of the command that fills a cell, counted from 1."""
        chosen = dict(row.options)
        if published_pretrained(row.model):
            chosen.setdefault("pretrained", "true")
        words = [f"--preset {row.preset}"] if row.preset else []
        words += [f"--method {row.training_method}"] if row.training_method else []
        options = " ".join([*words, *(f"--option {shlex.quote(f'{k}={v}')}" for k, v in chosen.items())])
        models = self.models.setdefault((ours.protocol, options), [])
        if row.model not in models:
            models.append(row.model)
        return list(self.models).index((ours.protocol, options)) + 1

    def texts(self) -> tuple[str, ...]:
        """Return the commands with the models they apply to."""
        return tuple(self._text(*key, models) for key, models in self.models.items())

    @staticmethod
    def _text(protocol: str, options: str, models: Sequence[str]) -> str:
        model = models[0] if len(models) == 1 else "M"
        train = f"dfbench train --model {model} --protocol {protocol}"
        evaluate = f"dfbench evaluate --model {model} --protocol {protocol}"
        if options:
            named = "-".join(part for part in options.split() if part not in ("--option", "--preset", "--method"))
            weights = f"weights/{protocol}/{model}-{named}.safetensors"
            train, evaluate = f"{train} {options} --out {weights}", f"{evaluate} --weights {weights}"
        models_note = "" if len(models) == 1 else f"   (M = {', '.join(models)})"
        return f"{train} && {evaluate}{models_note}"


def build(table: PaperTable, published: Sequence[PublishedNumber], runs: Sequence[Run]) -> Grid:
    """Combine the published numbers with those of the runs.

    Args:
        table: the definition.
        published: all published numbers.
        runs: runs; those that belong in no cell are skipped.
    """
    numbers = rows_where(published, table.published)
    commands = FillCommands()
    lines: list[PaperRow] = []
    for row in (*table.row, *_others(table, runs)):
        lines += [_paper_line(table, row, numbers)] if row.method else []
        lines += [_our_line(table, row, runs, commands)] if row.model else []
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


def _paper_line(table: PaperTable, row: PaperMethod, numbers: Sequence[PublishedNumber]) -> PaperRow:
    found = [published_number(column, row, numbers) for column in table.column]
    cells = tuple(PaperCell() if number is None else PaperCell(number.value) for number in found)
    return PaperRow(row.name, "paper", cells, row)


def _our_line(table: PaperTable, row: PaperMethod, runs: Sequence[Run], commands: FillCommands) -> PaperRow:
    cells: dict[str, PaperCell] = {}
    for column in table.column:
        ours = table.ours(column, row)
        if ours is not None:
            cells[column.head] = _our_cell(table, ours, row, runs, commands)
    for column in table.column:
        if column.average_of:
            cells[column.head] = _average([cells[head] for head in column.average_of if head in cells])
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


def _average(cells: Sequence[PaperCell]) -> PaperCell:
    known = [cell.value for cell in cells if cell.value is not None]
    return PaperCell(math.fsum(known) / len(known)) if known and len(known) == len(cells) else PaperCell()


def _others(table: PaperTable, runs: Sequence[Run]) -> list[PaperMethod]:
    """Return rows for detectors that the paper does not have, of runs that match a cell."""
    found: dict[str, PaperMethod] = {}
    for run in runs:
        row = row_of(run)
        listed = [r for r in table.row if r.model == row.model]
        if listed and not row.preset and not row.options and not row.training_method:
            row = row.model_copy(update={"label": f"{row.model}, default options"})
        cells = [table.ours(column, row) for column in table.column]
        taken = any(matching_runs(table, o, r, [run]) for r in listed for c in table.column if (o := table.ours(c, r)))
        if not taken and any(ours is not None and matching_runs(table, ours, row, [run]) for ours in cells):
            key = (row.model, row.preset, row.training_method, sorted(row.options.items()))
            found.setdefault(repr(key), row)
    return list(found.values())


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
    columns = range(len(table.column))
    best = {(source, index): _best(table, lines, source, index) for source in SOURCES for index in columns}

    def marked(line: PaperRow, index: int) -> PaperCell:
        cell = line.cells[index]
        is_best = cell.value is not None and cell.value == best.get((line.source, index))
        return replace(cell, best=is_best)

    return [replace(line, cells=tuple(marked(line, index) for index in range(len(line.cells)))) for line in lines]


def _with_differences(lines: Sequence[PaperRow]) -> list[PaperRow]:
    """Test the dfbench results of each column, averaged over their training seeds, against the best one."""
    found: dict[tuple[int, int], bool | None] = {}
    for index in range(len(lines[0].cells)):
        filled = [n for n, line in enumerate(lines) if line.cells[index].fits]
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


def _best(table: PaperTable, lines: Sequence[PaperRow], source: str, index: int) -> float | None:
    known = [v for line in lines if line.source == source and (v := line.cells[index].value) is not None]
    if not known:
        return None
    return min(known) if table.column[index].lower_is_better else max(known)
