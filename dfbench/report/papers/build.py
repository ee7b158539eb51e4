"""A paper's table as values: its published numbers, ours beside them, and the commands that fill what is empty."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from dfbench.evaluation.run import Run
from dfbench.metrics import majority, parse_metric
from dfbench.report.papers.definition import Column, Method, Ours, PaperTable
from dfbench.report.papers.matching import Fitting, fitting, options_of, published_pretrained
from dfbench.report.papers.significance import differing
from dfbench.schema.published import PublishedNumber, rows_where
from dfbench.schema.result import MAJORITY

PERCENT = 100.0
WHOSE = ("paper", "dfbench")
"""Whose numbers are compared with one another."""


@dataclass(frozen=True)
class Cell:
    """One number, in percent.

    Attributes:
        value: None where there is none.
        low: lower end of the 95 % interval, of a single run.
        high: its upper end.
        spread: standard deviation over the training seeds, of several runs.
        best: whether it is the best of its kind in the column.
        differs: whether the best of ours differs from it beyond chance; None where that was not tested.
        n: frames or videos.
        fits: the runs it comes from.
        command: number of the command that fills it; None where it is filled, or nothing can.
        reason: why there is no value although there is a run.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    best: bool = False
    differs: bool | None = None
    n: int = 0
    fits: tuple[Fitting, ...] = ()
    command: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """One printed row.

    Attributes:
        name: of the method, or of what costs nothing.
        whose: ``paper``, ``dfbench`` or ``floor``.
        cells: one a column.
        method: the row's definition; None for floors.
    """

    name: str
    whose: str
    cells: tuple[Cell, ...]
    method: Method | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Training seeds of the runs behind the row."""
        found = {fit.value.seed for cell in self.cells for fit in cell.fits}
        return tuple(sorted(s for s in found if s is not None))

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many frames or videos the cells rest on."""
        return tuple(dict.fromkeys(cell.n for cell in self.cells if cell.n))


@dataclass(frozen=True)
class Grid:
    """A whole table.

    Attributes:
        table: its definition.
        lines: the rows.
        commands: how to fill the empty cells; a cell's ``command`` counts from 1.
    """

    table: PaperTable
    lines: tuple[Line, ...]
    commands: tuple[str, ...] = ()


@dataclass
class Commands:
    """The commands met so far; each is numbered once, and models that differ in nothing else share one."""

    models: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def number(self, ours: Ours, row: Method) -> int:
        """The number of the command that fills a cell, counted from 1."""
        chosen = dict(row.options)
        if published_pretrained(row.model):
            chosen.setdefault("pretrained", "true")
        options = " ".join(f"--option {shlex.quote(f'{k}={v}')}" for k, v in chosen.items())
        models = self.models.setdefault((ours.protocol, options), [])
        if row.model not in models:
            models.append(row.model)
        return list(self.models).index((ours.protocol, options)) + 1

    def texts(self) -> tuple[str, ...]:
        """The commands, with every model that they stand for."""
        return tuple(self._text(*key, models) for key, models in self.models.items())

    @staticmethod
    def _text(protocol: str, options: str, models: Sequence[str]) -> str:
        model = models[0] if len(models) == 1 else "M"
        train = f"dfbench train --model {model} --protocol {protocol}"
        evaluate = f"dfbench evaluate --model {model} --protocol {protocol}"
        if options:
            named = "-".join(word for word in options.split() if word != "--option")
            weights = f"weights/{protocol}/{model}-{named}.safetensors"
            train, evaluate = f"{train} {options} --out {weights}", f"{evaluate} --weights {weights}"
        told = "" if len(models) == 1 else f"   (M = {', '.join(models)})"
        return f"{train} && {evaluate}{told}"


def build(table: PaperTable, published: Sequence[PublishedNumber], runs: Sequence[Run]) -> Grid:
    """Put the published numbers and those of the runs together.

    Args:
        table: the definition.
        published: all published numbers.
        runs: runs; those that belong in no cell are passed over.
    """
    numbers = rows_where(published, table.published)
    commands = Commands()
    lines: list[Line] = []
    for row in (*table.row, *_others(table, runs)):
        lines += [_paper_line(table, row, numbers)] if row.method else []
        lines += [_our_line(table, row, runs, commands)] if row.model else []
    lines += [*_floors(table), *_measured_floors(table, lines)]
    return Grid(table, tuple(_with_differences(_with_best(table, lines))), commands.texts())


def published_number(column: Column, row: Method, numbers: Sequence[PublishedNumber]) -> PublishedNumber | None:
    """The number that a paper prints in a cell; None where it prints none, or where it is not known."""
    if column.published is None:
        return None
    found = rows_where(numbers, {"method": row.method} | row.where | column.published)
    return found[0] if found else None


def _paper_line(table: PaperTable, row: Method, numbers: Sequence[PublishedNumber]) -> Line:
    found = [published_number(column, row, numbers) for column in table.column]
    cells = tuple(Cell() if number is None else Cell(number.value) for number in found)
    return Line(row.name, "paper", cells, row)


def _our_line(table: PaperTable, row: Method, runs: Sequence[Run], commands: Commands) -> Line:
    cells: dict[str, Cell] = {}
    for column in table.column:
        ours = table.ours(column, row)
        if ours is not None:
            cells[column.head] = _our_cell(table, ours, row, runs, commands)
    for column in table.column:
        if column.average_of:
            cells[column.head] = _average([cells[head] for head in column.average_of if head in cells])
    return Line(row.name, "dfbench", tuple(cells.get(column.head, Cell()) for column in table.column), row)


def _our_cell(table: PaperTable, ours: Ours, row: Method, runs: Sequence[Run], commands: Commands) -> Cell:
    fits = fitting(table, ours, row, runs)
    known = [fit.value.value for fit in fits if fit.value.value is not None]
    if not fits:
        return Cell(command=commands.number(ours, row))
    if len(known) < len(fits):
        return Cell(fits=tuple(fits), reason=next(f.value.undefined or "" for f in fits if f.value.value is None))
    first = fits[0].value
    alone = len(fits) == 1
    return Cell(
        value=PERCENT * fmean(known),
        low=PERCENT * first.low if alone and first.low is not None else None,
        high=PERCENT * first.high if alone and first.high is not None else None,
        spread=None if alone else PERCENT * stdev(known),
        n=first.n,
        fits=tuple(fits),
    )


def _average(cells: Sequence[Cell]) -> Cell:
    known = [cell.value for cell in cells if cell.value is not None]
    return Cell(math.fsum(known) / len(known)) if known and len(known) == len(cells) else Cell()


def _others(table: PaperTable, runs: Sequence[Run]) -> list[Method]:
    """Rows of detectors that the paper does not have, of runs that fit a cell."""
    found: dict[str, Method] = {}
    for run in runs:
        row = Method(model=run.result.model, options=options_of(run))
        listed = [r for r in table.row if r.model == row.model]
        cells = [table.ours(column, row) for column in table.column]
        taken = any(fitting(table, o, r, [run]) for r in listed for c in table.column if (o := table.ours(c, r)))
        if not taken and any(ours is not None and fitting(table, ours, row, [run]) for ours in cells):
            found.setdefault(repr((row.model, sorted(row.options.items()))), row)
    return list(found.values())


def _floors(table: PaperTable) -> list[Line]:
    return [
        Line(floor.name, "floor", tuple(Cell(floor.values.get(column.head)) for column in table.column))
        for floor in table.floor
    ]


def _measured_floors(table: PaperTable, lines: Sequence[Line]) -> list[Line]:
    """What costs nothing on the very samples that our runs were tested on, as the runs tell it."""
    rows: dict[str, dict[int, float]] = {}
    for place, column in enumerate(table.column):
        fits = [fit for line in lines if line.whose == "dfbench" for fit in line.cells[place].fits]
        if fits and column.ours is not None:
            for name, value in _costing_nothing(fits[0], parse_metric(column.ours.metric).metric):
                rows.setdefault(name, {})[place] = PERCENT * value
    return [
        Line(f"{name}, of the tested", "floor", tuple(Cell(values.get(place)) for place in range(len(table.column))))
        for name, values in rows.items()
    ]


def _costing_nothing(fit: Fitting, metric: str) -> Iterator[tuple[str, float]]:
    mine, result = fit.value, fit.run.result
    if metric == "acc" and not result.classes:
        yield MAJORITY, majority(mine.n, mine.n_positive)
    for baseline in result.baselines:
        for v in baseline.metrics:
            same = (v.name, v.dataset, v.subset, v.manipulation, v.condition)
            if v.value is not None and same == (
                mine.name,
                mine.dataset,
                mine.subset,
                mine.manipulation,
                mine.condition,
            ):
                yield baseline.name, v.value


def _with_best(table: PaperTable, lines: Sequence[Line]) -> list[Line]:
    best = {(whose, place): _best(table, lines, whose, place) for whose in WHOSE for place in range(len(table.column))}

    def marked(line: Line, place: int) -> Cell:
        cell = line.cells[place]
        is_best = cell.value is not None and cell.value == best.get((line.whose, place))
        return replace(cell, best=is_best)

    return [replace(line, cells=tuple(marked(line, place) for place in range(len(line.cells)))) for line in lines]


def _with_differences(lines: Sequence[Line]) -> list[Line]:
    """Test our numbers of each column against the best of them, each by the run of its lowest training seed."""
    found: dict[tuple[int, int], bool | None] = {}
    for place in range(len(lines[0].cells)):
        filled = [n for n, line in enumerate(lines) if line.cells[place].fits]
        first = next((n for n in filled if lines[n].cells[place].best), None)
        if first is None:
            continue
        others = [n for n in filled if n != first]
        fits = [lines[n].cells[place].fits[0] for n in (first, *others)]
        for n, differs in zip(others, differing(fits[0], fits[1:]), strict=True):
            found[n, place] = differs
    return [
        replace(line, cells=tuple(replace(c, differs=found.get((n, place))) for place, c in enumerate(line.cells)))
        for n, line in enumerate(lines)
    ]


def _best(table: PaperTable, lines: Sequence[Line], whose: str, place: int) -> float | None:
    known = [v for line in lines if line.whose == whose and (v := line.cells[place].value) is not None]
    if not known:
        return None
    return min(known) if table.column[place].lower_is_better else max(known)
