"""The main table as plain text, for a terminal, in Markdown, LaTeX and CSV; every format includes the rules."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from types import MappingProxyType

from dfbench.errors import unknown_name
from dfbench.metrics.names import title_of
from dfbench.report.formats import (
    csv_text,
    escape_latex,
    escape_markdown,
    latex_lines,
    latex_row,
    markdown_lines,
    text_lines,
)
from dfbench.report.rows import ResultRow, distinct_rows, metrics_of
from dfbench.report.table_notes import CROP_MARK, notes
from dfbench.schema.result import MetricValue
from dfbench.text import one_line, terminal_text

DASH = "-"
_COUNT_COLUMNS = 3  # trailing columns: n, media, coverage
_INTERVAL_WIDTH = len("[82.6-86.4]")
NAME_COLUMNS = 5  # leading columns with names instead of numbers


def percent(value: MetricValue | None, dash: str = DASH, span: str = "-", interval: bool = True) -> str:
    """Format a number for tables: percent with one decimal and its interval.

    Args:
        value: the number; None where the row has none.
        dash: text for a missing number.
        span: separator between the ends of the interval.
        interval: whether to include the interval.
    """
    if value is None:
        return dash
    low, high = (value.low, value.high) if interval else (None, None)
    return in_percent(value.value, low, high, dash, span)


def in_percent(
    value: float | None, low: float | None = None, high: float | None = None, dash: str = DASH, span: str = "-"
) -> str:
    """Format a fraction as percent with one decimal, and its interval if both ends are given.

    >>> in_percent(0.058, -0.004, 0.1)
    '5.8 [-0.4 - 10.0]'
    """
    if value is None:
        return dash
    if low is None or high is None:
        return f"{100 * value:z.1f}"
    join = f" {span} " if low < 0 or high < 0 else span  # a minus sign next to a dash is unreadable
    return f"{100 * value:z.1f} [{100 * low:z.1f}{join}{100 * high:z.1f}]"


def render(rows: Sequence[ResultRow], fmt: str = "text") -> str:
    """Render the table.

    Args:
        rows: rows from :func:`dfbench.report.rows.result_rows`.
        fmt: ``text`` (plain, for files and pipes), ``terminal`` (colours, as wide as the terminal), ``md``, ``tex``
            (booktabs), ``csv`` (fractions, with every rule in its own column).

    Returns:
        The text, ending in a newline.

    Raises:
        UsageError: an unknown format.
    """
    if fmt not in FORMATS:
        raise unknown_name("table format", fmt, FORMATS)
    text = FORMATS[fmt](distinct_rows(rows))
    return text if fmt == "terminal" else terminal_text(text)


def header(rows: Sequence[ResultRow]) -> list[str]:
    """Column headers of the printed table."""
    heads = [title_of(m) for m in metrics_of(rows)]
    return ["model", "data", "manipulation", "condition", "level", *heads, "n", "media", "coverage"]


def cells(row: ResultRow, metrics: Sequence[str], dash: str = DASH, span: str = "-") -> list[str]:
    """Cells of one row, in the order of :func:`header`."""
    numbers = [percent(row.values.get(m), dash, span) for m in metrics]
    counts = [str(row.n), _media(row), _coverage(row)]
    name = f"{row.model} {CROP_MARK}" if row.crop_mismatch else row.model
    return [name, row.data, row.manipulation, row.condition, row.level, *numbers, *counts]


def _media(row: ResultRow) -> str:
    """Media with a score, and of how many requested ones where some have none: ``90/100``."""
    lost = row.coverage < 1 and row.requested_media is not None and row.requested_media > row.n_media
    return f"{row.n_media}/{row.requested_media}" if lost else str(row.n_media)


def _coverage(row: ResultRow) -> str:
    text = f"{100 * row.coverage:.1f}"
    if not row.coverage_differs or row.coverage_real is None or row.coverage_fake is None:
        return text
    return f"{text} ({100 * row.coverage_real:.1f}/{100 * row.coverage_fake:.1f})"


def _text(rows: Sequence[ResultRow]) -> str:
    table = text_lines(header(rows), [cells(row, metrics_of(rows)) for row in rows])
    return "\n".join([*table, "", "Percent.", *notes(rows)]) + "\n"


def _terminal(rows: Sequence[ResultRow]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=io.StringIO(), force_terminal=True, width=Console().width)
    constant = {"level"} | {
        name for name in ("manipulation", "condition") if len({getattr(row, name) for row in rows}) == 1
    }
    constant |= set() if any("/" in _media(row) for row in rows) else {"media"}
    heads = header(rows)
    keep = [i for i, head in enumerate(heads) if head not in constant]
    for level in dict.fromkeys(row.level for row in rows):
        table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, title=level, title_justify="left")
        for i in keep:  # an interval may wrap below its number, but is not truncated
            numeric = NAME_COLUMNS <= i < len(heads) - _COUNT_COLUMNS
            table.add_column(Text(one_line(heads[i])), overflow="fold", min_width=_INTERVAL_WIDTH if numeric else None)
        for row in (row for row in rows if row.level == level):
            texts = cells(row, metrics_of(rows))
            table.add_row(*(Text(one_line(texts[i]), style="dim" if row.baseline else "") for i in keep))
        console.print(table)
    for line in ("Percent.", *notes(rows)):
        console.print(Text(terminal_text(line), style="dim"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _markdown(rows: Sequence[ResultRow]) -> str:
    lines = (cells(row, metrics_of(rows), "–", "–") for row in rows)
    table = ([*map(escape_markdown, line[:NAME_COLUMNS]), *line[NAME_COLUMNS:]] for line in lines)
    under = "Percent. " + " ".join(map(escape_markdown, notes(rows)))
    return "\n".join([*markdown_lines(header(rows), table), "", under]) + "\n"


def _latex(rows: Sequence[ResultRow]) -> str:
    metrics = metrics_of(rows)
    body: list[str] = []
    previous = None
    for row in rows:
        block = (row.level, row.data, row.condition)
        if previous is not None and block != previous:
            body.append("\\midrule")
        previous = block
        body.append(latex_row([escape_latex(cell) for cell in cells(row, metrics, "--", "--")]))
    caption = f"Percent. {escape_latex(' '.join(notes(rows)))}"
    table = latex_lines(header(rows), body, "l" * NAME_COLUMNS + "r" * (len(metrics) + _COUNT_COLUMNS), caption)
    return "\n".join(["% needs \\usepackage{booktabs}", *table]) + "\n"


def _csv(rows: Sequence[ResultRow]) -> str:
    """Fractions in full precision, the rules as columns."""
    metrics = metrics_of(rows)
    plain = ["model", "dataset", "subset", "manipulation", "condition", "level"]
    rules = [
        *("profile", "size", "geometry", "training", "training_method", "train_condition", "seed"),
        *("selection", "failure_policy", "protocol", "threshold", "cluster", "mini", "crop_mismatch"),
    ]
    counts = ["n", "n_media", "requested_media", "n_positive", "coverage", "coverage_real", "coverage_fake"]
    numbers = [f"{m}{part}" for m in metrics for part in ("", "_low", "_high", "_undefined", "_interval_note")]
    return csv_text(
        [*plain, *numbers, *counts, *rules],
        [
            [
                *(getattr(row, k) for k in plain),
                *_csv_numbers(row, metrics),
                *(getattr(row, k) for k in (*counts, *rules)),
            ]
            for row in rows
        ],
    )


def _csv_numbers(row: ResultRow, metrics: Sequence[str]) -> list[object]:
    found = (row.values.get(m) for m in metrics)
    fields = [(v.value, v.low, v.high, v.undefined, v.interval_note) if v else (None,) * 5 for v in found]
    return [item for group in fields for item in group]


FORMATS: MappingProxyType[str, Callable[[Sequence[ResultRow]], str]] = MappingProxyType(
    {"text": _text, "terminal": _terminal, "md": _markdown, "tex": _latex, "csv": _csv}
)
