"""Tables of papers: published numbers, dfbench results beside them, and the commands for the empty cells."""

from __future__ import annotations

from collections.abc import Sequence

from dfbench.evaluation.run import Run
from dfbench.report.papers.build import build
from dfbench.report.papers.definition import PaperTable, load_table, table_names
from dfbench.report.papers.grid import Grid
from dfbench.report.papers.render import PAPER_FORMATS, render_paper
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published

__all__ = ["PAPER_FORMATS", "Grid", "PaperTable", "build", "load_table", "paper_table", "render_paper", "table_names"]


def paper_table(name: str, runs: Sequence[Run] = (), fmt: str = "text") -> str:
    """Render a paper table with the runs that belong in it.

    Args:
        name: name of the table, for example ``grnet-5``.
        runs: evaluated detectors; those that belong in no cell are skipped.
        fmt: ``text``, ``md``, ``tex`` or ``csv``.

    Raises:
        UsageError: an unknown table or format.
        DataError: the definition or the published numbers are invalid.
    """
    published = load_published(facts_folder() / "published_results.csv")
    return render_paper(build(load_table(name), published, runs), published, fmt)
