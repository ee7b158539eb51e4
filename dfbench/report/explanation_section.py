"""Explanations on the page: sentences, tables and figures of folders that ``dfbench explain`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import DataError, UsageError
from dfbench.evaluation.run import Run
from dfbench.explain.record import ExplanationRecord
from dfbench.explain.store import FIGURES, Explanation, open_explanation
from dfbench.report.examples import PNG_START, data_uri
from dfbench.report.explanations import conclusions, limits, result_tables
from dfbench.report.sections import PageTable, table
from dfbench.untrusted import leads_outside, open_regular, read_at_most

LARGEST_FIGURE = 32 * 2**20
"""Bytes of a figure on the page; those that dfbench writes have at most some megabytes."""
_AGAIN = "explain again: dfbench explain"
_WITHOUT_FACES = ("mean-maps.png", "confusion.png")


@dataclass(frozen=True)
class ExplanationFigure:
    """A figure of an explanation.

    Attributes:
        title: what it shows.
        image: the PNG file as a data URI.
    """

    title: str
    image: str


@dataclass(frozen=True)
class ExplanationView:
    """One explanation on the page.

    Attributes:
        title: detector, protocol and condition.
        sentences: what its numbers say.
        tables: its tables.
        figures: its figures.
        notes: what limits it.
        mini: whether it shows invented faces.
    """

    title: str
    sentences: tuple[str, ...]
    tables: tuple[PageTable, ...]
    figures: tuple[ExplanationFigure, ...]
    notes: tuple[str, ...]
    mini: bool


def explanation_views(folders: Sequence[str | Path], runs: Sequence[Run], *, faces: bool) -> list[ExplanationView]:
    """Read explanations for the page.

    Args:
        folders: of the explanations, in the order of the page.
        runs: of the page; an explanation of other weights than theirs gets a note.
        faces: whether to include figures that show faces.

    Raises:
        UsageError: one is given twice.
        DataError: a folder is no explanation, or a figure is missing, too large or not a PNG file.
    """
    found = [open_explanation(folder) for folder in folders]
    ids = [one.record.run_id for one in found]
    for one in found:
        if ids.count(one.record.run_id) > 1:
            raise UsageError(f"the explanation {one.record.run_id} was given more than once", "give every folder once")
    weights = {run.result.weights.sha256 for run in runs if run.result.weights is not None}
    return [_view(one, one.record.weights.sha256 in weights, faces) for one in found]


def _view(explanation: Explanation, known: bool, faces: bool) -> ExplanationView:
    record = explanation.record
    notes = limits(record)
    if not known:
        notes.append("these weights are not those of a run on this page")
    return ExplanationView(
        f"{record.model} on {record.protocol.name}, {record.condition}",
        tuple(conclusions(record)),
        tuple(table(title, head, head[1:], rows) for title, head, rows in result_tables(record)),
        tuple(_figure(explanation.folder / FIGURES / name, record) for name in _names(explanation.folder, faces)),
        tuple(notes),
        record.mini,
    )


def _names(folder: Path, faces: bool) -> list[str]:
    """Return the figures of an explanation; without faces, those of means and confusion matrices alone."""
    names = sorted(path.name for path in (folder / FIGURES).glob("*.png"))
    return [name for name in names if faces or name in _WITHOUT_FACES]


def _figure(path: Path, record: ExplanationRecord) -> ExplanationFigure:
    if leads_outside(path):
        raise DataError(f"{path} is a link to a file outside its folder", _AGAIN)
    with open_regular(path) as stream:
        data = read_at_most(stream, LARGEST_FIGURE)
    if len(data) > LARGEST_FIGURE:
        raise DataError(f"{path} has more than {LARGEST_FIGURE} bytes, which no figure has", _AGAIN)
    if not data.startswith(PNG_START):
        raise DataError(f"{path} is not a PNG file", _AGAIN)
    return ExplanationFigure(f"{record.model}: {path.stem.replace('-', ' ')}", data_uri(data))
