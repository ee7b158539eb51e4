"""``dfbench table``: a paper table with dfbench results beside the published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dfbench.cli.options import LOCAL_PATH, PATH_OR_URL
from dfbench.cli.show import echo

if TYPE_CHECKING:
    from dfbench.evaluation.run import Run
    from dfbench.report.papers import PaperTable

FORMATS = ("text", "md", "tex", "csv")


@click.command(
    epilog="""\b
Examples:
  dfbench table
  dfbench table grnet-5
  dfbench table grnet-5 runs/a runs/b --format tex --out table5.tex"""
)
@click.argument("name", required=False, metavar="[NAME]")
@click.argument("runs", nargs=-1, metavar="[RUN...]", type=PATH_OR_URL)
@click.option("--format", "fmt", default="text", show_default=True, metavar="F", help=f"{', '.join(FORMATS)}.")
@click.option("--out", metavar="FILE", type=LOCAL_PATH, help="Write to FILE instead.")
def table(name: str | None, runs: tuple[Path, ...], fmt: str, out: Path | None) -> None:
    """Print the paper table NAME with dfbench results beside the published numbers; without NAME, list the tables.

    A cell accepts only runs of its own protocol, with the same training and test condition, crop profile, size and
    level. Without RUN, the runs of the workspace are used. Empty cells show the number of the command that fills them.
    """
    from dfbench.errors import unknown_name
    from dfbench.io import check_output_file, write_text
    from dfbench.report.papers import load_table, paper_table

    if fmt not in FORMATS:
        raise unknown_name("table format", fmt, FORMATS)
    if name is None:
        _list_tables()
        return
    if out is not None:
        check_output_file(out, "--out FILE")
    definition = load_table(name)
    loaded = _given(definition, runs) if runs else _of_workspace(definition)
    text = paper_table(name, loaded, fmt)
    if out is None:
        echo(text, nl=False)
        return
    write_text(out, text)
    echo(str(out))


def _list_tables() -> None:
    """Print name and title of every table."""
    from dfbench.report.papers import load_table, table_names

    names = table_names()
    width = max(map(len, names))
    for name in names:
        title = load_table(name).title
        line = f"{name.ljust(width)}  {title}"
        echo(line if len(line) <= 100 else f"{line[:97]}...")
    echo("\nPrint one: dfbench table NAME", err=True)


def _given(definition: PaperTable, folders: tuple[Path, ...]) -> list[Run]:
    """Open the given runs; print a note with the reason for those that belong in no cell."""
    from dfbench.evaluation.run import open_runs
    from dfbench.report.papers.matching import why_not

    loaded = open_runs(folders)
    for run in loaded:
        reason = why_not(definition, run)
        if reason:
            echo(f"note: {run.folder} belongs in no cell of {definition.name}: {reason}", err=True)
    return loaded


def _of_workspace(definition: PaperTable) -> list[Run]:
    """Open the runs of the workspace with one of the protocols of the table."""
    from dfbench.config import runs_home
    from dfbench.evaluation.run import RESULT_FILE, open_runs

    wanted = set(definition.protocols())
    folders = [file.parent for file in sorted(runs_home().glob(f"*/{RESULT_FILE}")) if _protocol_of(file) in wanted]
    return open_runs(folders) if folders else []


def _protocol_of(file: Path) -> str:
    from dfbench.errors import DataError
    from dfbench.untrusted import read_json

    try:
        return str((read_json(file).get("protocol") or {}).get("name", ""))
    except (DataError, AttributeError):
        return ""
