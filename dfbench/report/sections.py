"""What the page's sections say, as plain values for the templates: tables, warnings, counts, sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench.evaluation.run import Run
from dfbench.report.robustness import CELL_HEAD, SUMMARY_HEAD, drop_cells, judged, left_out, summary_cells
from dfbench.report.rows import Row, metrics_of
from dfbench.report.tables import NAME_COLUMNS, cells, header
from dfbench.schema.result import Coverage

DASH = "–"
_COVERAGE_HEAD = ("model", "data", "condition", "label", "manipulation", "requested", "scored", "share", "by status")
_COVERAGE_NUMBERS = ("requested", "scored", "share")
_ROBUSTNESS_NUMBERS = ("clean", "mean over families", "drop", "worst", "severity", "value")


@dataclass(frozen=True)
class Line:
    """Cells of one row of a table; ``soft`` where it stands beside the detectors' for comparison."""

    cells: tuple[str, ...]
    soft: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        caption: what it is.
        heads: column heads, each with whether its column holds numbers.
        lines: its rows.
    """

    caption: str
    heads: tuple[tuple[str, bool], ...]
    lines: tuple[Line, ...]


def table(caption: str, heads: Sequence[str], numbers: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """A table whose columns named in ``numbers`` hold numbers."""
    return Table(caption, tuple((h, h in numbers) for h in heads), tuple(Line(tuple(line)) for line in lines))


def result_tables(rows: Sequence[Row]) -> list[Table]:
    """The overall rows of each level first, then the rows by manipulation of each level."""
    tables = []
    for overall, words in ((True, "all manipulations"), (False, "by manipulation")):
        for level in dict.fromkeys(row.level for row in rows):
            part = [r for r in rows if r.level == level and (r.manipulation == "all") == overall]
            if part:
                tables.append(_result_table(part, f"{_level(level)}, {words}"))
    return tables


def robustness_tables(runs: Sequence[Run]) -> tuple[Table, Table, list[str]]:
    """Means over families, every condition, and notes; without a line where one condition was evaluated."""
    found = judged(runs)
    means = [summary_cells(one, DASH) for one in found]
    drops = [drop_cells(one, cell, DASH) for one in found for cell in one.found.cells]
    notes = [*dict.fromkeys(one.found.interval_note for one in found if one.found.interval_note), *left_out(runs)]
    return (
        table("Mean over families, and the worst condition", SUMMARY_HEAD, _ROBUSTNESS_NUMBERS, means),
        table("The drop of every condition", CELL_HEAD, _ROBUSTNESS_NUMBERS, drops),
        notes,
    )


def coverage_table(runs: Sequence[Run]) -> Table:
    """Counts under every condition, once where they are those of the first."""
    lines = [_coverage_cells(label, counted) for label, counted in _coverage(runs)]
    return table("Requested and scored samples by label and manipulation", _COVERAGE_HEAD, _COVERAGE_NUMBERS, lines)


def provenance(run: Run) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """What a number can be traced to: facts by name, and longer JSON texts by name."""
    r = run.result
    facts: list[tuple[str, str]] = [
        ("run", r.run_id),
        ("folder", run.folder.name),
        ("started", f"{r.started} (UTC), {r.seconds:.0f} s on {r.device}"),
        ("protocol", f"{r.protocol.name} version {r.protocol.version}, {r.protocol.hash}" if r.protocol else "none"),
        ("weights", r.weights.sha256 if r.weights else "none"),
        ("scores", r.scores_sha256 or "not hashed"),
        ("selection", json.dumps(r.selection, ensure_ascii=False)),
        ("samples without a score", r.failure_policy),
        ("versions", ", ".join(f"{k} {v}" for k, v in sorted(r.versions.items()))),
    ]
    facts += [
        (f"manifest {m.name}", f"{m.dataset}, {m.profile}, {'/'.join(map(str, m.sizes))} px, geometry {m.geometry}, "
         f"decoder {m.decoder}, face detector {m.face_detector}, {m.hash}")
        for m in r.manifests
    ]  # fmt: skip
    details = {"options": r.options, "weights card": r.weights.card if r.weights else {}}
    return facts, {k: json.dumps(v, indent=2, ensure_ascii=False, sort_keys=True) for k, v in details.items() if v}


def _result_table(rows: Sequence[Row], caption: str) -> Table:
    """Heads and lines without the columns that the caption already says."""
    said = {"level"}
    if all(r.manipulation == "all" for r in rows):
        said.add("manipulation")
    if all(r.condition == "clean" for r in rows):
        said.add("condition")
        caption += ", untouched samples (clean)"
    heads, metrics = header(rows), metrics_of(rows)
    keep = [i for i, head in enumerate(heads) if head not in said]
    whole = ((row, cells(row, metrics, DASH, DASH)) for row in rows)
    lines = tuple(Line(tuple(texts[i] for i in keep), row.baseline) for row, texts in whole)
    return Table(caption, tuple((heads[i], i >= NAME_COLUMNS) for i in keep), lines)


def _level(level: str) -> str:
    where, _, how = level.partition(".")
    return f"{where.capitalize()} level ({how})" if how else f"{where.capitalize()} level"


def _coverage(runs: Sequence[Run]) -> list[tuple[str, Coverage]]:
    found = []
    for run in runs:
        first: dict[tuple[object, ...], Coverage] = {}
        for line in run.result.coverage:
            key = (line.dataset, line.subset, line.label, line.manipulation)
            same = line.model_copy(update={"condition": first.setdefault(key, line).condition})
            if same != first[key] or line is first[key]:
                found.append((run.label, line))
    return found


def _coverage_cells(label: str, c: Coverage) -> tuple[str, ...]:
    return (
        label,
        f"{c.dataset}/{c.subset}",
        c.condition,
        "fake" if c.label else "real",
        c.manipulation,
        str(c.requested),
        str(c.scored),
        f"{100 * c.scored / c.requested:.1f} %" if c.requested else DASH,
        ", ".join(f"{status} {count}" for status, count in c.by_status.items()),
    )
