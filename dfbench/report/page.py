"""The report: one self-contained HTML page, the same table as Markdown, LaTeX, CSV and text, and every video as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from dfbench._version import __version__
from dfbench.evaluation.run import Run, open_runs
from dfbench.io import check_output_folder, write_text
from dfbench.report.examples import load_examples, run_examples
from dfbench.report.explanation_section import ExplanationView, explanation_views
from dfbench.report.figures.figure_data import FigureData, collect_figure_data
from dfbench.report.figures.panels import confusion_tables, panels, robustness_panels
from dfbench.report.robustness import robustness_csv, robustness_summaries, without_suite
from dfbench.report.rows import ResultRow, result_rows
from dfbench.report.sections import (
    DASH,
    citations,
    coverage_table,
    provenance,
    result_tables,
    robustness_tables,
    summary,
    table,
)
from dfbench.report.table_notes import MINI_NOTE, notes, warnings
from dfbench.report.tables import render
from dfbench.report.videos import NUMBERS, VIDEOS_PER_PAGE, VideoResult, video_rows, videos, videos_csv

TABLE_FILES = {"table.md": "md", "table.csv": "csv", "table.tex": "tex", "table.txt": "text"}


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    title: str | None = None,
    *,
    faces: bool = True,
    explanations: Sequence[str | Path] = (),
) -> Path:
    """Write the report of one or more runs.

    Only these folders are read; manifests and media are not needed.

    Args:
        runs: run folders; detectors appear in this order.
        out: folder for ``index.html``, ``table.md``, ``.csv``, ``.tex``, ``.txt`` and ``videos.csv``; created if
            necessary.
        title: title of the page.
        faces: whether to include crops, residuals, and the figures of explanations that show faces.
        explanations: folders that ``dfbench explain`` wrote; they appear in this order.

    Returns:
        The path of ``index.html``.

    Raises:
        UsageError: no run, a run or an explanation given twice, or ``out`` is a file.
        SetupError: ``out`` cannot be written.
        DataError: a folder is not a run or not an explanation, or its files do not belong together.
    """
    out = check_output_folder(out, "--out DIR")
    loaded = open_runs(runs)
    rows = result_rows([run.result for run in loaded], [run.label for run in loaded])
    data = collect_figure_data(loaded, rows)
    listed = videos(data)
    explained = explanation_views(explanations, loaded, faces=faces)
    page = render_page(loaded, rows, data, listed, explained, title or "Face-forgery detection: results", faces)
    for name, fmt in TABLE_FILES.items():
        write_text(out / name, render(rows, fmt))
    write_text(out / "videos.csv", videos_csv(listed))
    if any(run.result.robustness for run in loaded):
        write_text(out / "robustness.csv", robustness_csv(robustness_summaries(loaded)))
    write_text(out / "index.html", page)
    return out / "index.html"


def render_page(
    runs: Sequence[Run],
    rows: Sequence[ResultRow],
    data: FigureData,
    listed: Sequence[VideoResult],
    explained: Sequence[ExplanationView],
    title: str,
    faces: bool,
) -> str:
    """Render the HTML page, which references nothing outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfbench.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    important = warnings(rows)
    video_cells = video_rows(listed, DASH)
    heads = list(video_cells[0]) if video_cells else ["video"]
    texts = [list(line.values()) for line in video_cells]
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        mini=data.mini,
        mini_note=MINI_NOTE,
        summary=summary(rows),
        warnings=important,
        tables=result_tables(without_suite(rows)),
        notes=[note for note in notes(rows) if note not in important],
        rule=data.rule,
        left_out=data.left_out,
        conditions=data.conditions,
        panels=panels(data, rows),
        confusion_tables=confusion_tables(data),
        videos=table("Videos and images, largest errors first", heads, NUMBERS, texts[:VIDEOS_PER_PAGE]),
        video_lines=texts,
        videos_per_page=VIDEOS_PER_PAGE,
        n_videos=len(listed),
        robustness=robustness_tables(runs),
        robustness_panels=robustness_panels(runs, data.rule),
        examples=[
            run_examples(run.label, load_examples(run.folder), detector.threshold)
            for run, detector in zip(runs, data.detectors, strict=True)
        ]
        if faces
        else [],
        faces=faces,
        explanations=explained,
        coverage=coverage_table(runs),
        provenance=[(run.label, *provenance(run)) for run in runs],
        citations=citations(runs),
    )
