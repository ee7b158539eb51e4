"""A paper's table as text, Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from types import MappingProxyType

from dfbench.errors import unknown_name
from dfbench.report.escape import latex, markdown
from dfbench.report.papers.build import Cell, Grid, Line
from dfbench.report.papers.footnotes import filling, notes
from dfbench.schema.published import PublishedNumber

DIFFERS = "†"
_NAMES = 2  # leading columns that hold names


def render_paper(grid: Grid, published: Sequence[PublishedNumber], fmt: str = "text") -> str:
    """The table with everything that must stand under it.

    Args:
        grid: the table.
        published: all published numbers.
        fmt: ``text``, ``md``, ``tex`` or ``csv`` (one line a number, fractions of a percent in full, runs by id).

    Returns:
        The text, ending in a newline.

    Raises:
        UsageError: an unknown format.
    """
    if fmt not in PAPER_FORMATS:
        raise unknown_name("table format", fmt, PAPER_FORMATS)
    return PAPER_FORMATS[fmt](grid, published)


def _head(grid: Grid) -> list[str]:
    return ["method", "whose", *(column.head for column in grid.table.column), "seeds", "n"]


def _texts(grid: Grid, line: Line, span: str, dash: str, best: Callable[[str], str], empty: bool = True) -> list[str]:
    decimals = grid.table.decimals
    numbers = [_number(cell, decimals, span, dash, best, empty) for cell in line.cells]
    seeds = " ".join(map(str, line.seeds))
    return [line.name, line.whose, *numbers, seeds, "/".join(map(str, line.sizes))]


def _number(cell: Cell, decimals: int, span: str, dash: str, best: Callable[[str], str], empty: bool) -> str:
    if cell.value is None:
        return f"({cell.command})" if cell.command is not None and empty else dash
    text = f"{cell.value:.{decimals}f}"
    text = best(text) if cell.best else text
    text += DIFFERS if cell.differs else ""
    if cell.spread is not None:
        return f"{text} ±{cell.spread:.{decimals}f}"
    if cell.low is not None and cell.high is not None:
        return f"{text} [{cell.low:.{decimals}f}{span}{cell.high:.{decimals}f}]"
    return text


def _text(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    table = [_head(grid), *(_texts(grid, line, "-", "-", lambda text: f"{text}*") for line in grid.lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    under = [text.replace("Marked as best", "*") for text in notes(grid, published)]
    return "\n".join([grid.table.title, "", *lines, "", *under, *_how(grid)]) + "\n"


def _how(grid: Grid) -> list[str]:
    commands = filling(grid)
    return ["", "A number in brackets: the command that fills the cell.", *commands] if commands else []


def _markdown(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    heads = [markdown(head) for head in _head(grid)]
    rows = [heads, ["---"] * _NAMES + ["---:"] * (len(heads) - _NAMES)]
    for line in grid.lines:
        cells = _texts(grid, line, "–", "–", lambda text: f"**{text}**")
        rows.append([*map(markdown, cells[:_NAMES]), *cells[_NAMES:]])
    table = ["| " + " | ".join(row) + " |" for row in rows]
    under = [f"- {markdown(text.replace('Marked as best', 'Bold'))}" for text in notes(grid, published)]
    how = _how(grid)
    commands = ["", how[1], "", "```", *how[2:], "```"] if how else []
    return "\n".join([f"**{markdown(grid.table.title)}**", "", *table, "", *under, *commands]) + "\n"


def _latex(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    lines = [
        "% needs \\usepackage{booktabs}",
        *(f"% {command}" for command in filling(grid)),
        "\\begin{table}",
        "\\centering\\small",
        f"\\begin{{tabular}}{{ll{'r' * (len(_head(grid)) - _NAMES)}}}",
        "\\toprule",
        " & ".join(map(latex, _head(grid))) + " \\\\",
        "\\midrule",
    ]
    floors = False
    for line in grid.lines:
        if line.whose == "floor" and not floors:
            lines.append("\\midrule")
            floors = True
        cells = [latex(line.name), line.whose]
        cells += [_latex_number(text) for text in _texts(grid, line, "--", "--", _bold, empty=False)[_NAMES:]]
        lines.append(" & ".join(cells) + " \\\\")
    under = [text.replace("Marked as best", "Bold") for text in notes(grid, published)]
    caption = latex(" ".join([f"{grid.table.title}.", *under])).replace(DIFFERS, "\\dag{}").replace("±", "$\\pm$")
    lines += ["\\bottomrule", "\\end{tabular}", f"\\caption{{{caption}}}", "\\end{table}"]
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    return f"\\textbf{{{text}}}"


def _latex_number(text: str) -> str:
    # The brackets stand in a group: "[" after "\\" would be read as an argument.
    value, bracket, rest = text.partition(" [")
    value = value.replace(DIFFERS, "$^\\dagger$").replace("±", "$\\pm$")
    return f"{value} {{\\scriptsize [{rest}}}" if bracket else value


def _csv(grid: Grid, published: Sequence[PublishedNumber]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    commands = dict(enumerate(grid.commands, start=1))
    for line in grid.lines:
        for column, cell in zip(grid.table.column, line.cells, strict=True):
            fits = cell.fits
            ours = grid.table.ours(column, line.method) if line.method and line.whose == "dfbench" else None
            values = (cell.value, cell.low, cell.high, cell.spread)
            numbers = ["" if v is None else f"{v:.6g}" for v in values]
            seeds = " ".join(str(fit.value.seed) for fit in fits)
            runs = " ".join(fit.run.result.run_id for fit in fits)
            marks = ["best" if cell.best else "", "" if cell.differs is None else str(cell.differs).lower()]
            command = "" if cell.command is None else commands[cell.command]
            rules = [ours.protocol, ours.metric] if ours else ["", ""]
            place = [grid.table.name, line.name, line.whose, column.head]
            writer.writerow([*place, *numbers, cell.n or "", seeds, *marks, *rules, runs, command])
    return stream.getvalue()


_CSV_HEAD = (
    *("table", "method", "whose", "column", "value", "low", "high", "spread", "n", "seeds"),
    *("best", "differs_from_best", "protocol", "metric", "runs", "command"),
)
PAPER_FORMATS: MappingProxyType[str, Callable[[Grid, Sequence[PublishedNumber]], str]] = MappingProxyType(
    {"text": _text, "md": _markdown, "tex": _latex, "csv": _csv}
)
