"""A paper table as text, Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from dfbench.errors import unknown_name
from dfbench.models.training_method import own_method
from dfbench.report.formats import (
    csv_text,
    escape_latex,
    escape_markdown,
    latex_lines,
    latex_row,
    markdown_lines,
    text_lines,
)
from dfbench.report.papers.definition import PaperColumn
from dfbench.report.papers.footnotes import filling, notes
from dfbench.report.papers.grid import Grid, PaperCell, PaperRow
from dfbench.schema.published import PublishedNumber
from dfbench.text import terminal_text

DIFFERS, WITHIN = "†", "‡"


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
    return [*_names(grid), *(column.head for column in grid.table.column), "seeds", "n"]


def _names(grid: Grid) -> list[str]:
    """Headers of the leading columns, with names."""
    return ["method", *(["trained on"] if grid.table.train else []), "source"]


def _texts(
    grid: Grid, line: PaperRow, span: str, dash: str, best: Callable[[str], str], empty: bool = True
) -> list[str]:
    decimals = grid.table.decimals
    numbers = [_number(cell, decimals, span, dash, best, empty) for cell in line.cells]
    seeds = " ".join(map(str, line.seeds))
    names = [line.name, *([line.trained_on] if grid.table.train else []), line.source]
    return [*names, *numbers, seeds, "/".join(map(str, line.sizes))]


def _number(cell: PaperCell, decimals: int, span: str, dash: str, best: Callable[[str], str], empty: bool) -> str:
    if cell.value is None:
        return f"({cell.command})" if cell.command is not None and empty else dash
    text = f"{cell.value:.{decimals}f}"
    text = best(text) if cell.best else text
    text += (DIFFERS if cell.differs else "") + (WITHIN if cell.within else "")
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
    heads, first = [escape_markdown(head) for head in _head(grid)], len(_names(grid))
    rows = []
    for line in grid.lines:
        cells = _texts(grid, line, "–", "–", lambda text: f"**{text}**")
        rows.append([*map(escape_markdown, cells[:first]), *cells[first:]])
    table = markdown_lines(heads, rows, right=range(first, len(heads)))
    under = [f"- {escape_markdown(text.replace('Marked as best', 'Bold'))}" for text in notes(grid, published)]
    how = _how(grid)
    commands = ["", how[1], "", "```", *how[2:], "```"] if how else []
    return "\n".join([f"**{escape_markdown(grid.table.title)}**", "", *table, "", *under, *commands]) + "\n"


def _latex(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    first = len(_names(grid))
    body: list[str] = []
    for line in grid.lines:
        if line.source == "baseline" and "\\midrule" not in body:
            body.append("\\midrule")
        cells = _texts(grid, line, "--", "--", _bold, empty=False)
        body.append(latex_row([*map(escape_latex, cells[:first]), *map(_latex_number, cells[first:])]))
    under = [text.replace("Marked as best", "Bold") for text in notes(grid, published)]
    caption = _latex_number(escape_latex(" ".join([f"{grid.table.title}.", *under])))
    comments = ["% needs \\usepackage{booktabs}", *(f"% {command}" for command in filling(grid))]
    columns = "l" * first + "r" * (len(_head(grid)) - first)
    return "\n".join([*comments, *latex_lines(_head(grid), body, columns, caption)]) + "\n"


def _bold(text: str) -> str:
    return f"\\textbf{{{text}}}"


def _latex_number(text: str) -> str:
    marks = {DIFFERS: "$^\\dagger$", WITHIN: "$^\\ddagger$", "±": "$\\pm$"}
    return "".join(marks.get(letter, letter) for letter in text)


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
    within = str(cell.within).lower() if grid.table.train else None
    names = [grid.table.name, line.name, line.source, column.head]
    trained = [line.trained_on or None, within, *_training(line)]
    return [*names, *numbers, cell.n or None, seeds, *marks, *rules, runs, command, *trained]


def _training(line: PaperRow) -> list[str | None]:
    """Return detector, training method and the method's changed options of a dfbench line."""
    row = line.method
    if row is None or line.source != "dfbench":
        return [None, None, None]
    options = " ".join(f"{name}={value}" for name, value in row.method_options.items())
    return [row.model, row.training_method or own_method(row.model), options or None]


_CSV_HEAD = (
    *("table", "method", "source", "column", "value", "low", "high", "std", "n", "seeds"),
    *("best", "differs_from_best", "protocol", "metric", "runs", "command"),
    *("trained_on", "within", "model", "training_method", "method_options"),
)
PAPER_FORMATS: MappingProxyType[str, Callable[[Grid, Sequence[PublishedNumber]], str]] = MappingProxyType(
    {"text": _text, "md": _markdown, "tex": _latex, "csv": _csv}
)
