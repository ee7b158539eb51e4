"""The report: one self-contained HTML page, the same table as Markdown, LaTeX, CSV and text, and every video as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from dfbench._version import __version__
from dfbench.evaluation.run import Run, open_runs
from dfbench.io import check_output_folder, write_text
from dfbench.report.citations import citations
from dfbench.report.examples import load_examples, pictures
from dfbench.report.figures.confusion import matrices
from dfbench.report.figures.figure_data import Shown, look_into
from dfbench.report.figures.panels import panels, robustness_panels
from dfbench.report.robustness import cells_csv, judged, without_suite
from dfbench.report.rows import Row, result_rows
from dfbench.report.sections import DASH, coverage_table, provenance, result_tables, robustness_tables, table
from dfbench.report.summary import summary
from dfbench.report.table_notes import MINI_NOTE, notes, warnings
from dfbench.report.tables import render
from dfbench.report.videos import FIRST_LINES, NUMBERS, Video, lines, videos, videos_csv

TABLE_FILES = {"table.md": "md", "table.csv": "csv", "table.tex": "tex", "table.txt": "text"}


def write_report(runs: Sequence[Path], out: Path, title: str | None = None, *, faces: bool = True) -> Path:
    """Write the report of one or more runs. Run folders are all that is read: manifests and media may be elsewhere.

    Args:
        runs: run folders; detectors appear in this order.
        out: folder to write ``index.html``, ``table.md``, ``.csv``, ``.tex``, ``.txt`` and ``videos.csv`` into; made
            where missing.
        title: heading of the page.
        faces: whether crops and residuals are shown.

    Returns:
        The path of ``index.html``.

    Raises:
        UsageError: no run, a run given twice, or ``out`` is a file.
        DataError: a folder is not a run, or its files do not belong together.
    """
    out = Path(out)
    check_output_folder(out, "--out DIR")
    loaded = open_runs([Path(run) for run in runs])
    rows = result_rows([run.result for run in loaded], [run.label for run in loaded])
    shown = look_into(loaded, rows)
    listed = videos(shown)
    page = render_page(loaded, rows, shown, listed, title or "Face-forgery detection: results", faces)
    for name, fmt in TABLE_FILES.items():
        write_text(out / name, render(rows, fmt))
    write_text(out / "videos.csv", videos_csv(listed))
    if any(run.result.robustness for run in loaded):
        write_text(out / "robustness.csv", cells_csv(judged(loaded)))
    write_text(out / "index.html", page)
    return out / "index.html"


def render_page(
    runs: Sequence[Run], rows: Sequence[Row], shown: Shown, listed: Sequence[Video], title: str, faces: bool
) -> str:
    """The page's HTML. Nothing in it refers to anything outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfbench.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    doubtful = warnings(rows)
    video_lines = lines(listed, DASH)
    heads = list(video_lines[0]) if video_lines else ["video"]
    texts = [list(line.values()) for line in video_lines]
    return environment.get_template("page.html.j2").render(
        title=title,
        version=__version__,
        mini=shown.mini,
        mini_note=MINI_NOTE,
        summary=summary(rows),
        warnings=doubtful,
        tables=result_tables(without_suite(rows)),
        notes=[note for note in notes(rows) if note not in doubtful],
        rule=shown.rule,
        left_out=shown.left_out,
        conditions=shown.conditions,
        panels=panels(shown, rows),
        matrices=matrices(shown),
        videos=table("Videos and images, the worst errors first", heads, NUMBERS, texts[:FIRST_LINES]),
        video_lines=texts,
        first_lines=FIRST_LINES,
        n_videos=len(listed),
        robustness=robustness_tables(runs),
        robustness_panels=robustness_panels(runs, shown.rule),
        examples=[
            pictures(run.label, load_examples(run.folder), seen.threshold)
            for run, seen in zip(runs, shown.detectors, strict=True)
        ]
        if faces
        else [],
        faces=faces,
        coverage=coverage_table(runs),
        provenance=[(run.label, *provenance(run)) for run in runs],
        citations=citations(runs),
    )
