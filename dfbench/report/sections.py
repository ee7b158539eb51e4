"""Contents of the page's sections as plain values for the templates: summary, tables, provenance, citations."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dfbench._version import __version__
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DfbenchError, UsageError
from dfbench.evaluation.run import Run
from dfbench.metrics.names import title_of
from dfbench.models.registry import get_spec, model_names
from dfbench.report.robustness import (
    CONDITION_HEAD,
    SUMMARY_HEAD,
    drop_cells,
    interval_notes,
    robustness_summaries,
    summary_cells,
    unavailable_notes,
)
from dfbench.report.rows import ResultRow, distinct_rows, metrics_of
from dfbench.report.tables import NAME_COLUMNS, cells, header, percent
from dfbench.schema.result import Coverage

DASH = "–"
_COVERAGE_HEAD = ("model", "data", "condition", "label", "manipulation", "requested", "scored", "coverage", "by status")
_COVERAGE_NUMBERS = ("requested", "scored", "coverage")
_ROBUSTNESS_NUMBERS = ("clean", "mean over families", "drop", "worst", "severity", "value")


_PREFERRED_LEVELS = ("video.mean", "frame")
_DFBENCH = f"""@software{{dfbench,
  title = {{dfbench: dataset preparation and fixed-protocol benchmarks for face-forgery detection}},
  author = {{{{The dfbench developers}}}},
  version = {{{__version__}}}
}}"""


@dataclass(frozen=True)
class TableRow:
    """Cells of one table row; ``baseline`` marks trivial baselines."""

    cells: tuple[str, ...]
    baseline: bool = False


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Attributes:
        caption: caption.
        heads: column headers, each with whether the column is numeric.
        lines: rows.
    """

    caption: str
    heads: tuple[tuple[str, bool], ...]
    lines: tuple[TableRow, ...]


def table(caption: str, heads: Sequence[str], numbers: Sequence[str], lines: Sequence[Sequence[str]]) -> PageTable:
    """Build a table; ``numbers`` names the numeric columns."""
    return PageTable(caption, tuple((h, h in numbers) for h in heads), tuple(TableRow(tuple(line)) for line in lines))


def summary(rows: Sequence[ResultRow]) -> str:
    """Return one sentence with the main result of every detector on every data set, over all manipulations.

    It uses ``video.mean`` and AUC if the runs have them, and clean samples if there are any.
    """
    overall = [r for r in rows if r.manipulation == "all" and not r.baseline and r.values]
    levels = {r.level for r in overall}
    level = next((name for name in _PREFERRED_LEVELS if name in levels), next(iter(sorted(levels)), ""))
    overall = [r for r in overall if r.level == level]
    clean = [r for r in overall if r.condition == "clean"] or overall
    if not clean:
        return "The runs hold no metrics."
    metric = "auc" if all("auc" in r.values for r in clean) else next(iter(clean[0].values))
    parts = []
    for model in dict.fromkeys(r.model for r in clean):
        numbers = [f"{percent(r.values.get(metric), 'no value', '–')} on {r.data}" for r in clean if r.model == model]
        parts.append(f"{model} {', '.join(numbers)}")
    unit = level.partition(".")[0]
    return f"{title_of(metric)} at {unit} level, percent with 95 % interval: {'; '.join(parts)}."


def result_tables(rows: Sequence[ResultRow]) -> list[PageTable]:
    """Build the tables of results: per level the rows over all manipulations, then those by manipulation."""
    tables = []
    rows = distinct_rows(rows)
    for overall, scope in ((True, "all manipulations"), (False, "by manipulation")):
        for level in dict.fromkeys(row.level for row in rows):
            part = [r for r in rows if r.level == level and (r.manipulation == "all") == overall]
            if part:
                tables.append(_result_table(part, f"{_level(level)}, {scope}"))
    return tables


def robustness_tables(runs: Sequence[Run]) -> tuple[PageTable, PageTable, list[str]]:
    """Build the tables of means over families and of every condition, and their notes; empty with one condition."""
    found = robustness_summaries(runs)
    means = [summary_cells(one, DASH) for one in found]
    drops = [drop_cells(one, drop, DASH) for one in found for drop in one.found.cells]
    notes = [*interval_notes(found), *unavailable_notes(runs)]
    return (
        table("Mean over families, and worst condition", SUMMARY_HEAD, _ROBUSTNESS_NUMBERS, means),
        table("Drop of every condition", CONDITION_HEAD, _ROBUSTNESS_NUMBERS, drops),
        notes,
    )


def coverage_table(runs: Sequence[Run]) -> PageTable:
    """Build the table of counts, without conditions whose counts equal those of the first."""
    lines = [_coverage_cells(label, counted) for label, counted in _coverage(runs)]
    return table("Requested and scored samples by label and manipulation", _COVERAGE_HEAD, _COVERAGE_NUMBERS, lines)


def provenance(run: Run) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return the origin of the numbers: facts by name, and longer JSON texts by name."""
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


def _result_table(rows: Sequence[ResultRow], caption: str) -> PageTable:
    """Build one table without the columns that are constant and stated in the caption."""
    constant = {"level"}
    if all(r.manipulation == "all" for r in rows):
        constant.add("manipulation")
    if all(r.condition == "clean" for r in rows):
        constant.add("condition")
        caption += ", clean samples"
    heads, metrics = header(rows), metrics_of(rows)
    keep = [i for i, head in enumerate(heads) if head not in constant]
    whole = ((row, cells(row, metrics, DASH, DASH)) for row in rows)
    lines = tuple(TableRow(tuple(texts[i] for i in keep), row.baseline) for row, texts in whole)
    return PageTable(caption, tuple((heads[i], i >= NAME_COLUMNS) for i in keep), lines)


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


def citations(runs: Sequence[Run]) -> list[str]:
    """Return BibTeX entries of the detectors, the data sets and dfbench, in the order of the runs.

    The entry of a data set has its reference in one line, as in ``dfbench list datasets``.
    """
    detectors = (_of_detector(run) for run in runs)
    datasets = (_of_dataset(value.dataset) for run in runs for value in run.result.metrics)
    return [*dict.fromkeys(entry for entry in (*detectors, *datasets) if entry), _DFBENCH]


def _of_detector(run: Run) -> str:
    result = run.result
    for stated in (result.options, result.weights.card if result.weights else {}):
        entry = stated.get("bibtex")
        if isinstance(entry, str) and entry.strip():
            return entry.strip()
    if result.model not in model_names():  # a custom detector's file is not executed for a citation
        return ""
    try:
        return get_spec(result.model).bibtex.strip()
    except DfbenchError:  # the package of the detector cannot be loaded
        return ""


def _of_dataset(name: str) -> str:
    try:
        adapter = get_adapter(name)
    except UsageError:  # imported scores on a data set that dfbench does not know
        return ""
    if adapter.name == "mini" or adapter.name.partition(":")[0] == "folder":  # not published
        return ""
    key = re.sub(r"[^a-z0-9-]", "", name.replace("++", "pp").lower())
    return f"@misc{{{key},\n  title = {{{adapter.title}}},\n  note = {{{adapter.citation}}}\n}}"
