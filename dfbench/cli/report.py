"""``dfbench report``: one or more runs as a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dfbench.cli.options import LOCAL_PATH, PATH_OR_URL
from dfbench.cli.show import echo, echo_rendered


@click.command(
    epilog="""\b
Examples:
  dfbench report runs/grnet runs/meso4 --out report
  dfbench report runs/grnet --explanation runs/explain-mini-grnet-1a2b3c --out report"""
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=PATH_OR_URL)
@click.option("--out", required=True, metavar="DIR", type=LOCAL_PATH, help="Folder of the report.")
@click.option("--no-faces", is_flag=True, help="Exclude all images of faces and their residuals.")
@click.option(
    "--explanation",
    "explanations",
    multiple=True,
    metavar="DIR",
    type=PATH_OR_URL,
    help="Add what explain wrote; repeat for others.",
)
@click.option("--title", help="Title of the page.")
def report(
    runs: tuple[Path, ...], out: Path, no_faces: bool, explanations: tuple[Path, ...], title: str | None
) -> None:
    """Write runs as one self-contained HTML page, with the table in four formats and the results per video as CSV.

    Also prints the results over all manipulations; the last line is the path of the page.
    """
    print_and_write(runs, out, title, faces=not no_faces, explanations=explanations)


def print_and_write(
    runs: Sequence[Path],
    out: Path,
    title: str | None = None,
    *,
    faces: bool = True,
    explanations: Sequence[Path] = (),
) -> None:
    """Write a report and print the results over all manipulations; the last line is the path of the page."""
    import sys

    from dfbench.evaluation.run import open_runs
    from dfbench.report import render, result_rows, write_report
    from dfbench.report.robustness import without_suite

    page = write_report(runs, out, title, faces=faces, explanations=explanations)
    loaded = open_runs(runs)
    rows = result_rows([run.result for run in loaded], [run.label for run in loaded])
    overall = [row for row in without_suite(rows) if row.manipulation == "all"]
    echo_rendered(render(overall, "terminal" if sys.stdout.isatty() else "text"))
    if len(overall) < len(rows):
        echo(f"By manipulation: {page.parent / 'table.txt'}")
    echo(str(page))
