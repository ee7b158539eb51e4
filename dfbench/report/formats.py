"""Tables of strings as plain text, Markdown, LaTeX and CSV; control characters are written as escapes."""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterable, Sequence

from dfbench.text import one_line, terminal_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "†": r"\dag{}",
}
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|`*_{}#<>~[]"})


def escape_latex(text: str) -> str:
    r"""Escape the special characters of LaTeX.

    >>> escape_latex("100 % of a_b")
    '100 \\% of a\\_b'
    """
    return "".join(_LATEX.get(c, c) for c in one_line(text.replace("\n", " ")))


def p_text(p: float | None, dash: str = "") -> str:
    """Return a p-value with three digits.

    >>> p_text(0.0004), p_text(0.0442), p_text(None, "-")
    ('<0.001', '0.044', '-')
    """
    if p is None:
        return dash
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def escape_markdown(text: str) -> str:
    r"""Escape the special characters of Markdown, including the column separator of tables.

    >>> escape_markdown("a|b")
    'a\\|b'
    """
    return one_line(text.replace("\n", " ")).translate(_MARKDOWN)


def text_lines(header: Sequence[str], rows: Iterable[Sequence[str]], right: Container[int] = ()) -> list[str]:
    r"""Align a table in columns, with a rule under the header.

    Args:
        header: column headers.
        rows: cells of each row, as many as headers.
        right: indices of the columns to align to the right.

    >>> print("\n".join(text_lines(["name", "n"], [["a", "10"]], right={1})))
    name   n
    ----  --
    a     10
    """
    table = [[one_line(cell) for cell in line] for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    return ["  ".join(_aligned(line, widths, right)).rstrip() for line in table]


def markdown_lines(header: Sequence[str], rows: Iterable[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Write a Markdown table; cells must be escaped already.

    >>> markdown_lines(["name", "n"], [["a", "10"]], right={1})
    ['| name | n |', '| --- | ---: |', '| a | 10 |']
    """
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    return ["| " + " | ".join(line) + " |" for line in (header, rule, *rows)]


def latex_lines(header: Sequence[str], body: Iterable[str], columns: str, caption: str) -> list[str]:
    r"""Write a LaTeX table in the style of booktabs.

    Args:
        header: column headers, unescaped.
        body: rows from :func:`latex_row`, and ``\midrule`` between them.
        columns: column specification, for example ``llrr``.
        caption: caption, escaped.
    """
    return [
        "\\begin{table}",
        "\\centering\\small",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        latex_row([escape_latex(head) for head in header]),
        "\\midrule",
        *body,
        "\\bottomrule",
        "\\end{tabular}",
        f"\\caption{{{caption}}}",
        "\\end{table}",
    ]


def latex_row(cells: Sequence[str]) -> str:
    r"""Join escaped cells to one row, intervals in a smaller size.

    >>> latex_row(["a", "0.5 [0.4-0.6]"])
    'a & 0.5 {\\scriptsize [0.4-0.6]} \\\\'
    """
    return " & ".join(map(_small_interval, cells)) + " \\\\"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Write CSV; None becomes an empty field.

    >>> csv_text(["a", "b"], [[1, None]])
    'a,b\n1,\n'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_csv_value(item) for item in row] for row in rows])
    return stream.getvalue()


def _csv_value(item: object) -> object:
    return "" if item is None else terminal_text(item) if isinstance(item, str) else item


def _aligned(line: Sequence[str], widths: Sequence[int], right: Container[int]) -> list[str]:
    return [
        cell.rjust(width) if i in right else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]


def _small_interval(cell: str) -> str:
    # The brackets are in a group: "[" after "\\" would be read as an optional argument.
    value, bracket, rest = cell.partition(" [")
    return f"{value} {{\\scriptsize [{rest}}}" if bracket else cell
