"""The report: one self-contained HTML page and the same table as Markdown, LaTeX, CSV and text."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from dfbench import __version__
from dfbench.errors import UsageError
from dfbench.metrics.compute import samples_by_cell
from dfbench.metrics.names import title_of
from dfbench.metrics.samples import Samples
from dfbench.report import figures
from dfbench.report.citations import citations
from dfbench.report.examples import Example, data_uri, load_examples
from dfbench.report.robustness import (
    CELL_HEAD,
    SUMMARY_HEAD,
    cells_csv,
    drop_cells,
    judged,
    left_out,
    summary_cells,
    without_suite,
)
from dfbench.report.robustness_figures import curves_figure, heat_figure
from dfbench.report.rows import Row, metrics_of, result_rows
from dfbench.report.rules import MINI_NOTE, notes
from dfbench.report.runs import Run, load_runs
from dfbench.report.summary import summary
from dfbench.report.tables import NAME_COLUMNS, cells, header, render
from dfbench.schema.result import Coverage

TABLE_FILES = {"table.md": "md", "table.csv": "csv", "table.tex": "tex", "table.txt": "text"}
_MAX_CELLS = 12  # data sets x subsets x conditions that get figures of their own


def write_report(runs: Sequence[Path], out: Path, title: str | None = None, *, faces: bool = True) -> Path:
    """Write the report of one or more runs.

    Args:
        runs: run folders; detectors appear in this order.
        out: folder to write ``index.html`` and ``table.md``, ``.csv``, ``.tex``, ``.txt`` into; made where missing.
        title: heading of the page.
        faces: whether sample crops are shown.

    Returns:
        The path of ``index.html``.

    Raises:
        UsageError: no run, a run given twice, or ``out`` is a file.
        DataError: a folder is not a run, or its files do not belong together.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", "name a folder for the report: --out DIR")
    loaded = load_runs([Path(run) for run in runs])
    rows = result_rows([run.result for run in loaded], [run.label for run in loaded])
    page = render_page(loaded, rows, title or "Face-forgery detection: results", faces)
    out.mkdir(parents=True, exist_ok=True)
    for name, fmt in TABLE_FILES.items():
        _replace(out / name, render(rows, fmt))
    if any(run.result.robustness for run in loaded):
        _replace(out / "robustness.csv", cells_csv(judged(loaded)))
    _replace(out / "index.html", page)
    return out / "index.html"


def render_page(runs: Sequence[Run], rows: Sequence[Row], title: str, faces: bool) -> str:
    """The page's HTML. Nothing in it refers to anything outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfbench.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rule = _main_rule(rows)
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        mini=any(run.result.mini for run in runs),
        mini_note=MINI_NOTE,
        summary=summary(rows),
        tables=_tables(without_suite(rows)),
        robustness=_robustness(runs, rule),
        notes=notes(rows),
        figures=_figures(runs, rows, rule),
        rule=rule,
        examples=[(run.label, _pictures(load_examples(run.folder))) for run in runs] if faces else [],
        faces=faces,
        coverage=_coverage(runs),
        provenance=[_provenance(run) for run in runs],
        citations=citations(runs),
    )


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _tables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The overall rows of each level first, then the rows by manipulation of each level."""
    tables = []
    for overall, words in ((True, "all manipulations"), (False, "by manipulation")):
        for level in dict.fromkeys(row.level for row in rows):
            part = [r for r in rows if r.level == level and (r.manipulation == "all") == overall]
            if part:
                tables.append(_table(part, f"{_level(level)}, {words}"))
    return tables


def _table(rows: Sequence[Row], caption: str) -> dict[str, Any]:
    """Heads and lines without the columns that the caption already says."""
    said = {"level"}
    if all(r.manipulation == "all" for r in rows):
        said.add("manipulation")
    if all(r.condition == "clean" for r in rows):
        said.add("condition")
        caption += ", untouched samples (clean)"
    heads = header(rows)
    keep = [i for i, head in enumerate(heads) if head not in said]
    lines = [(row, [(line[i], i >= NAME_COLUMNS) for i in keep]) for row in rows for line in (_cells(row, rows),)]
    return {"caption": caption, "heads": [(heads[i], i >= NAME_COLUMNS) for i in keep], "lines": lines}


def _cells(row: Row, rows: Sequence[Row]) -> list[str]:
    return cells(row, metrics_of(rows), "–", "–")


def _level(level: str) -> str:
    where, _, how = level.partition(".")
    return f"{where.capitalize()} level ({how})" if how else f"{where.capitalize()} level"


def _main_rule(rows: Sequence[Row]) -> str:
    """The level that figures show: video by mean where there is one, else the first."""
    levels = list(dict.fromkeys(row.level for row in rows))
    return "video.mean" if "video.mean" in levels else next(iter(levels), "frame")


def _figures(runs: Sequence[Run], rows: Sequence[Row], rule: str) -> dict[str, Any]:
    samples = {run.label: _samples(run, rows, rule) for run in runs}
    places = list(dict.fromkeys(place for found in samples.values() for place in found))
    shown = places if len(places) <= _MAX_CELLS else [p for p in places if p[2] == "clean"][:_MAX_CELLS]
    mini = any(run.result.mini for run in runs)
    metric = next((m for m in ("auc", "acc") if m in metrics_of(rows)), next(iter(metrics_of(rows)), "auc"))
    found: dict[str, Any] = {"roc": [], "hist": [], "bars": [], "left_out": len(places) - len(shown)}
    for number, place in enumerate(shown):
        where = f"{place[0]}/{place[1]}" + ("" if place[2] == "clean" else f", {place[2]}")
        title = f"{where}, {rule}"
        curves = {label: cells_[place] for label, cells_ in samples.items() if place in cells_}
        own = [r for r in rows if (r.dataset, r.subset, r.condition) == place and r.level == rule]
        found["roc"].append(figures.roc_figure(curves, title, f"roc{number}", mini))
        found["bars"].append(figures.bars_figure(own, metric, title, f"bars{number}", mini))
        for index, (label, data) in enumerate(curves.items()):
            line = next((r.threshold for r in own if r.model == label and r.threshold is not None), 0.5)
            name = f"hist{number}x{index}"
            found["hist"].append(figures.histogram_figure(data, line, f"{label}: {title}", name, mini))
    for kind in ("roc", "hist", "bars"):
        found[kind] = [svg for svg in found[kind] if svg]
    found["metric"] = title_of(metric)
    return found


def _robustness(runs: Sequence[Run], rule: str) -> dict[str, Any]:
    """Tables and figures of the section on degradations; figures show AUC where there is one."""
    found = judged(runs)
    names = list(dict.fromkeys(one.found.name for one in found))
    shown = next((n for n in (f"auc.{rule}", *names) if n in names), "")
    drawn = [one for one in found if one.found.name == shown]
    mini = any(run.result.mini for run in runs)
    places = list(dict.fromkeys(one.data for one in drawn))
    curves = [
        curves_figure([one for one in drawn if one.data == place], f"curves{number}", mini)
        for number, place in enumerate(places)
    ]
    heats = [heat_figure(one, f"heat{number}", mini) for number, one in enumerate(drawn)]
    return {
        "head": SUMMARY_HEAD,
        "lines": [summary_cells(one, "–") for one in found],
        "cell_head": CELL_HEAD,
        "cells": [drop_cells(one, cell, "–") for one in found for cell in one.found.cells],
        "notes": [*dict.fromkeys(one.found.interval_note for one in found if one.found.interval_note), *left_out(runs)],
        "curves": [svg for svg in curves if svg],
        "heats": [svg for svg in heats if svg],
    }


def _coverage(runs: Sequence[Run]) -> list[tuple[str, Coverage]]:
    """Counts under every condition, once where they are those of the first."""
    found = []
    for run in runs:
        first: dict[tuple[object, ...], Coverage] = {}
        for line in run.result.coverage:
            key = (line.dataset, line.subset, line.label, line.manipulation)
            same = line.model_copy(update={"condition": first.setdefault(key, line).condition})
            if same != first[key] or line is first[key]:
                found.append((run.label, line))
    return found


def _samples(run: Run, rows: Sequence[Row], rule: str) -> dict[tuple[str, str, str], Samples]:
    threshold = next((r.threshold for r in rows if r.model == run.label and r.threshold is not None), 0.5)
    policy, faces = run.result.failure_policy, run.result.faces
    return samples_by_cell(run.scores, f"auc.{rule}", threshold=threshold, failure_policy=policy, faces=faces)


def _pictures(examples: Sequence[Example]) -> list[dict[str, Any]]:
    return [
        {
            "example": e,
            "crop": data_uri(e.crop),
            "residual": data_uri(e.residual) if e.residual else None,
        }
        for e in examples
    ]


def _provenance(run: Run) -> dict[str, Any]:
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
    pretty = {k: json.dumps(v, indent=2, ensure_ascii=False, sort_keys=True) for k, v in details.items() if v}
    return {"label": run.label, "facts": facts, "details": pretty}
