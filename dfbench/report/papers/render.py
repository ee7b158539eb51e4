"""A paper table as text, Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from dfbench.errors import unknown_name
from dfbench.report.formats import (
    csv_text,
    escape_latex,
    escape_markdown,
    latex_lines,
    latex_row,
    markdown_lines,
    text_lines,
)
from dfbench.report.papers.build import Grid, PaperCell, PaperRow
from dfbench.report.papers.definition import PaperColumn
from dfbench.report.papers.footnotes import filling, notes
from dfbench.schema.published import PublishedNumber
from dfbench.text import terminal_text

DIFFERS = "†"
_NAMES = 2  # leading columns with names


def render_paper(grid: Grid, published: Sequence[PublishedNumber], fmt: str = "text") -> str:
    """Render the table with its notes.

    Args:
        grid: the table.
        published: all published numbers.
        fmt: ``text``, ``md``, ``tex`` or ``csv`` (one row per number, in full precision, with run ids).

    Returns:
        The text, ending in a newline.

    Raises:
        UsageError: an unknown format.
    """
    if fmt not in PAPER_FORMATS:
        raise unknown_name("table format", fmt, PAPER_FORMATS)
    return terminal_text(PAPER_FORMATS[fmt](grid, published))


def _head(grid: Grid) -> list[str]:
    return ["method", "source", *(column.head for column in grid.table.column), "seeds", "n"]


def _texts(
    grid: Grid, line: PaperRow, span: str, dash: str, best: Callable[[str], str], empty: bool = True
) -> list[str]:
    decimals = grid.table.decimals
    numbers = [_number(cell, decimals, span, dash, best, empty) for cell in line.cells]
    seeds = " ".join(map(str, line.seeds))
    return [line.name, line.source, *numbers, seeds, "/".join(map(str, line.sizes))]


def _number(cell: PaperCell, decimals: int, span: str, dash: str, best: Callable[[str], str], empty: bool) -> str:
    if cell.value is None:
        return f"({cell.command})" if cell.command is not None and empty else dash
    text = f"{cell.value:.{decimals}f}"
    text = best(text) if cell.best else text
    text += DIFFERS if cell.differs else ""
    if cell.std is not None:
        return f"{text} ±{cell.std:.{decimals}f}"
    if cell.low is not None and cell.high is not None:
        return f"{text} [{cell.low:.{decimals}f}{span}{cell.high:.{decimals}f}]"
    return text


def _text(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    table = text_lines(_head(grid), [_texts(grid, line, "-", "-", lambda text: f"{text}*") for line in grid.lines])
    under = [text.replace("Marked as best", "*") for text in notes(grid, published)]
    return "\n".join([grid.table.title, "", *table, "", *under, *_how(grid)]) + "\n"


def _how(grid: Grid) -> list[str]:
    commands = filling(grid)
    return ["", "A number in parentheses: the command that fills the cell.", *commands] if commands else []


def _markdown(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    heads = [escape_markdown(head) for head in _head(grid)]
    rows = []
    for line in grid.lines:
        cells = _texts(grid, line, "–", "–", lambda text: f"**{text}**")
        rows.append([*map(escape_markdown, cells[:_NAMES]), *cells[_NAMES:]])
    table = markdown_lines(heads, rows, right=range(_NAMES, len(heads)))
    under = [f"- {escape_markdown(text.replace('Marked as best', 'Bold'))}" for text in notes(grid, published)]
    how = _how(grid)
    commands = ["", how[1], "", "```", *how[2:], "```"] if how else []
    return "\n".join([f"**{escape_markdown(grid.table.title)}**", "", *table, "", *under, *commands]) + "\n"


def _latex(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    body: list[str] = []
    for line in grid.lines:
        if line.source == "baseline" and "\\midrule" not in body:
            body.append("\\midrule")
        numbers = _texts(grid, line, "--", "--", _bold, empty=False)[_NAMES:]
        body.append(latex_row([escape_latex(line.name), line.source, *map(_latex_number, numbers)]))
    under = [text.replace("Marked as best", "Bold") for text in notes(grid, published)]
    caption = escape_latex(" ".join([f"{grid.table.title}.", *under])).replace("±", "$\\pm$")
    comments = ["% needs \\usepackage{booktabs}", *(f"% {command}" for command in filling(grid))]
    columns = "l" * _NAMES + "r" * (len(_head(grid)) - _NAMES)
    return "\n".join([*comments, *latex_lines(_head(grid), body, columns, caption)]) + "\n"


def _bold(text: str) -> str:
    return f"\\textbf{{{text}}}"


def _latex_number(text: str) -> str:
    return text.replace(DIFFERS, "$^\\dagger$").replace("±", "$\\pm$")


def _csv(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    cells = (
        _csv_cell(grid, line, column, cell)
        for line in grid.lines
        for column, cell in zip(grid.table.column, line.cells, strict=True)
    )
    return csv_text(_CSV_HEAD, cells)


def _csv_cell(grid: Grid, line: PaperRow, column: PaperColumn, cell: PaperCell) -> list[object]:
    ours = grid.table.ours(column, line.method) if line.method and line.source == "dfbench" else None
    values = (cell.value, cell.low, cell.high, cell.std)
    numbers = [None if v is None else f"{v:.6g}" for v in values]
    seeds = " ".join(str(fit.value.seed) for fit in cell.fits)
    runs = " ".join(fit.run.result.run_id for fit in cell.fits)
    marks = ["best" if cell.best else None, None if cell.differs is None else str(cell.differs).lower()]
    command = None if cell.command is None else grid.commands[cell.command - 1]
    rules = [ours.protocol, ours.metric] if ours else [None, None]
    names = [grid.table.name, line.name, line.source, column.head]
    return [*names, *numbers, cell.n or None, seeds, *marks, *rules, runs, command]


_CSV_HEAD = (
    *("table", "method", "source", "column", "value", "low", "high", "std", "n", "seeds"),
    *("best", "differs_from_best", "protocol", "metric", "runs", "command"),
)
PAPER_FORMATS: MappingProxyType[str, Callable[[Grid, Sequence[PublishedNumber]], str]] = MappingProxyType(
    {"text": _text, "md": _markdown, "tex": _latex, "csv": _csv}
)
