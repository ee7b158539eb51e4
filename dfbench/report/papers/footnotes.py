"""Notes of a paper table: marks, rules that differ, what the paper does not specify, and commands for empty cells."""

from __future__ import annotations

from collections.abc import Iterable

from dfbench.evaluation.run import Run
from dfbench.metrics import parse_metric
from dfbench.models.options import cautions
from dfbench.models.registry import get_spec, model_names
from dfbench.models.spec import SUPERVISED_METHOD
from dfbench.models.training_method import described, own_method
from dfbench.protocols.files import load_protocol
from dfbench.protocols.needs import prepare_commands
from dfbench.protocols.protocol import Protocol
from dfbench.report.papers.build import measured_on
from dfbench.report.papers.grid import Grid, PaperCell
from dfbench.report.papers.matching import MatchingRun, options_of, published_pretrained
from dfbench.report.papers.matrix import MEAN_OF_OTHERS
from dfbench.report.table_notes import NO_FACT
from dfbench.schema.published import PublishedNumber, rows_where
from dfbench.schema.result import MAJORITY


def notes(grid: Grid, published: Iterable[PublishedNumber]) -> list[str]:
    """Return the notes of the table, without the commands."""
    numbers = grid.table.numbers(published)
    return [
        "Percent. paper: as published, under the rules of the paper; dfbench: results of the given runs, with the 95 % "
        "interval of one run, or the standard deviation over training seeds (±).",
        *_marks(grid),
        *_matrix(grid),
        *_methods(grid),
        *(f"{baseline.name}: {baseline.basis}." for baseline in grid.table.baseline),
        *_metadata(grid),
        *_levels(grid, numbers),
        *(f"{'Note' if grid.table.published is None else 'Published'}: {text}" for text in grid.table.note),
        *_protocols(grid),
        *_runs(grid),
        *_empty(grid),
    ]


def filling(grid: Grid) -> list[str]:
    """Return the commands that prepare the manifests and fill the empty cells, numbered like the cells."""
    if not grid.commands:
        return []
    loaded = [load_protocol(name) for name in grid.table.protocols()]
    return [
        *(f"first: {command}" for command in prepare_commands(loaded)),
        *(f"({number}) {command}" for number, command in enumerate(grid.commands, start=1)),
    ]


def _cells(grid: Grid) -> list[PaperCell]:
    return [cell for line in grid.lines for cell in line.cells]


def _marks(grid: Grid) -> list[str]:
    lines = []
    if any(cell.best for cell in _cells(grid)):
        lines.append("Marked as best: the best of each column, separately for published numbers and dfbench results.")
    if any(cell.differs is not None for cell in _cells(grid)):
        lines.append(
            "†: differs significantly from the best dfbench result (t test of the means over the training seeds on the "
            "same samples, with the variances over scene groups and over seeds, Holm's correction within the column, "
            "5 %)."
        )
        if any(len(cell.fits) == 1 for cell in _cells(grid)):
            lines.append(
                "A single run has no variance over training seeds; that of the detector it is compared with is used, "
                "or none if both are single runs."
            )
    return lines


def _matrix(grid: Grid) -> list[str]:
    if not grid.table.train:
        return []
    lines = [
        "‡: within: the detector was trained on the manipulation that it is tested on. Best values and differences are "
        "those among detectors with the same training data."
    ]
    if any(column.across for column in grid.table.column):
        lines.append(
            f"Means over other manipulations leave out the cells within (‡); '{MEAN_OF_OTHERS}' is the same mean of "
            "each column, and of all cells."
        )
    return lines


def _methods(grid: Grid) -> list[str]:
    """Return the training methods of the dfbench rows, where they are not the usual supervised training."""
    found: dict[str, None] = {}
    for row in (line.method for line in grid.lines if line.source == "dfbench" and line.method):
        method = row.training_method or own_method(row.model)
        if method != SUPERVISED_METHOD:
            found[f"{row.name}: {row.model}, trained by the method {described(method, row.method_options)}."] = None
    return list(found)


def _metadata(grid: Grid) -> list[str]:
    """Return the line for runs of which no metadata field alone is in the table."""
    results = [fit.run.result for cell in _cells(grid) for fit in cell.fits if fit.run.result.manifests]
    fields = {measured_on(b.name) for result in results for b in result.baselines if b.name != MAJORITY}
    return [NO_FACT] if results and not fields & {line.name for line in grid.lines} else []


def _levels(grid: Grid, numbers: Iterable[PublishedNumber]) -> list[str]:
    lines = []
    rows = list(numbers)
    for column in grid.table.column:
        if column.ours is None or column.published is None:
            continue
        ours = parse_metric(column.ours.metric).level
        theirs = {row.level for row in rows_where(rows, column.published)} - {ours}
        if theirs:
            lines.append(f"{column.head}: published at level {', '.join(sorted(theirs))}, dfbench at level {ours}.")
    return lines


def _protocols(grid: Grid) -> list[str]:
    loaded = [load_protocol(name) for name in grid.table.protocols()]
    rules = [f"dfbench: {p.name} version {p.version} ({p.hash[:12]}): {_rules(p)}." for p in loaded]
    cautions = [f"Caution, {p.name}: {p.caution}." for p in loaded if p.caution]
    unknown = dict.fromkeys(text for p in loaded for text in p.unverified)
    return [*rules, *cautions, *(f"Not specified by the paper: {text}" for text in unknown)]


def _rules(protocol: Protocol) -> str:
    p = protocol
    chosen = "the last epoch" if p.selection.split == "none" else f"{p.selection.metric} on {p.selection.split}"
    return (
        f"{p.crops.profile} crops of {p.crops.size} px, trained {p.conditions.train}, tested "
        f"{', '.join(p.conditions.test)}, weights selected by {chosen}, samples without a score: {p.failure_policy}"
    )


def _runs(grid: Grid) -> list[str]:
    lines: dict[str, None] = {}
    for line in grid.lines:
        for cell in line.cells:
            if cell.reason:
                lines[f"{line.name}: no value: {cell.reason}."] = None
            for fit in cell.fits:
                lines |= dict.fromkeys(_start(line.name, fit.run))
                lines |= {f"Caution, {line.name}: {text}.": None for text in _cautions(fit)}
                if fit.value.coverage < 1:
                    what = "samples" if parse_metric(fit.value.name).level == "frame" else "videos"
                    covered = f"{100 * fit.value.coverage:.1f} % of the {what} have a score"
                    lines[f"{line.name}: run {fit.run.result.run_id}: {covered}."] = None
                if fit.value.interval_note:
                    text = "No interval" if fit.value.low is None else "Interval"
                    lines[f"{text}: {fit.value.interval_note}."] = None
    return list(lines)


def _start(name: str, run: Run) -> list[str]:
    """Return the initial weights of the training, if given or if the published detector used ImageNet weights."""
    given = options_of(run)
    if given.get("pretrained"):
        return [f"{name}: run {run.result.run_id} with pretrained={given['pretrained']}."]
    if published_pretrained(run.result.model):
        start = "started from random weights; the published detector started from ImageNet weights"
        return [f"Run {run.result.run_id} of {name} {start}."]
    return []


def _cautions(fit: MatchingRun) -> list[str]:
    """Return what readers of the run's detector should know."""
    model = fit.run.result.model
    return cautions(get_spec(model), fit.value.size) if model in model_names() else []


def _empty(grid: Grid) -> list[str]:
    if any(cell.value is None for line in grid.lines if line.source == "paper" for cell in line.cells):
        return ["A dash in a published row: the source has no number there, or it is illegible."]
    return []
