"""The main table as text, for a terminal, in Markdown, LaTeX and CSV; every form carries the rules."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from types import MappingProxyType

from dfbench.errors import unknown_name
from dfbench.metrics.names import title_of
from dfbench.report.escape import latex, markdown
from dfbench.report.rows import Row, metrics_of
from dfbench.report.table_notes import CROP_MARK, notes
from dfbench.schema.result import MetricValue

DASH = "-"
_COUNT_COLUMNS = 3  # trailing ones: n, media, coverage
_INTERVAL_WIDTH = len("[82.6-86.4]")
NAME_COLUMNS = 5  # leading columns of the printed table that hold names, not numbers


def percent(value: MetricValue | None, dash: str = DASH, span: str = "-", interval: bool = True) -> str:
    """A number as tables print it: percent with one decimal and its interval.

    Args:
        value: the number; None where the row has none.
        dash: what an absent number prints as.
        span: what stands between the ends of the interval.
        interval: whether to print it.
    """
    if value is None:
        return dash
    low, high = (value.low, value.high) if interval else (None, None)
    return in_percent(value.value, low, high, dash, span)


def in_percent(
    value: float | None, low: float | None = None, high: float | None = None, dash: str = DASH, span: str = "-"
) -> str:
    """A fraction in percent with one decimal and its interval, where both ends are known.

    >>> in_percent(0.058, -0.004, 0.1)
    '5.8 [-0.4 - 10.0]'
    """
    if value is None:
        return dash
    if low is None or high is None:
        return f"{100 * value:z.1f}"
    join = f" {span} " if low < 0 or high < 0 else span  # a minus sign beside a dash can not be read
    return f"{100 * value:z.1f} [{100 * low:z.1f}{join}{100 * high:z.1f}]"


def render(rows: Sequence[Row], fmt: str = "text") -> str:
    """The table of the rows.

    Args:
        rows: rows of :func:`dfbench.report.rows.result_rows`.
        fmt: ``text`` (plain, for files and pipes), ``terminal`` (colours, as wide as the terminal), ``md``, ``tex``
            (booktabs), ``csv`` (fractions and every rule in a column of its own).

    Returns:
        The text, ending in a newline.

    Raises:
        UsageError: an unknown format.
    """
    if fmt not in FORMATS:
        raise unknown_name("table format", fmt, FORMATS)
    return FORMATS[fmt](rows)


def header(rows: Sequence[Row]) -> list[str]:
    """Column heads of the printed table."""
    heads = [title_of(m) for m in metrics_of(rows)]
    return ["model", "data", "manipulation", "condition", "level", *heads, "n", "media", "coverage"]


def cells(row: Row, metrics: Sequence[str], dash: str = DASH, span: str = "-") -> list[str]:
    """One row of the printed table, under :func:`header`."""
    numbers = [percent(row.values.get(m), dash, span) for m in metrics]
    counts = [str(row.n), str(row.n_media), _coverage(row)]
    name = f"{row.model} {CROP_MARK}" if row.crop_mismatch else row.model
    return [name, row.data, row.manipulation, row.condition, row.level, *numbers, *counts]


def _coverage(row: Row) -> str:
    text = f"{100 * row.coverage:.1f}"
    if not row.coverage_differs or row.coverage_real is None or row.coverage_fake is None:
        return text
    return f"{text} ({100 * row.coverage_real:.1f}/{100 * row.coverage_fake:.1f})"


def _text(rows: Sequence[Row]) -> str:
    table = [header(rows), *(cells(row, metrics_of(rows)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", "Percent.", *notes(rows)]) + "\n"


def _terminal(rows: Sequence[Row]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=io.StringIO(), force_terminal=True, width=Console().width)
    said = {"level", "media"} | {
        name for name in ("manipulation", "condition") if len({getattr(row, name) for row in rows}) == 1
    }
    heads = header(rows)
    keep = [i for i, head in enumerate(heads) if head not in said]
    for level in dict.fromkeys(row.level for row in rows):
        table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, title=level, title_justify="left")
        for i in keep:  # an interval may move below its number, but is not cut
            numeric = NAME_COLUMNS <= i < len(heads) - _COUNT_COLUMNS
            table.add_column(heads[i], overflow="fold", min_width=_INTERVAL_WIDTH if numeric else None)
        for row in (row for row in rows if row.level == level):
            texts = cells(row, metrics_of(rows))
            table.add_row(*(Text(texts[i], style="dim" if row.baseline else "") for i in keep))
        console.print(table)
    for line in ("Percent.", *notes(rows)):
        console.print(Text(line, style="dim"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _markdown(rows: Sequence[Row]) -> str:
    heads = header(rows)
    table = [heads, ["---"] * len(heads)]
    for row in rows:
        line = cells(row, metrics_of(rows), "–", "–")
        table.append([*map(markdown, line[:NAME_COLUMNS]), *line[NAME_COLUMNS:]])
    lines = ["| " + " | ".join(line) + " |" for line in table]
    return "\n".join([*lines, "", "Percent. " + " ".join(map(markdown, notes(rows)))]) + "\n"


def _latex(rows: Sequence[Row]) -> str:
    metrics = metrics_of(rows)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering\\small",
        f"\\begin{{tabular}}{{lllll{'r' * (len(metrics) + 3)}}}",
        "\\toprule",
        " & ".join(map(latex, header(rows))) + " \\\\",
        "\\midrule",
    ]
    previous = None
    for row in rows:
        place = (row.level, row.data, row.condition)
        if previous is not None and place != previous:
            lines.append("\\midrule")
        previous = place
        # The interval is set small and its brackets in a group: "[" after "\\" would be read as an argument.
        parts = [latex(cell) for cell in cells(row, metrics, "--", "--")]
        lines.append(" & ".join(_small_interval(part) for part in parts) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}", f"\\caption{{Percent. {latex(' '.join(notes(rows)))}}}", "\\end{table}"]
    return "\n".join(lines) + "\n"


def _small_interval(cell: str) -> str:
    value, bracket, rest = cell.partition(" [")
    return f"{value} {{\\scriptsize [{rest}}}" if bracket else cell


def _csv(rows: Sequence[Row]) -> str:
    """One line a row, fractions in full precision, the rules as columns."""
    metrics = metrics_of(rows)
    plain = ["model", "dataset", "subset", "manipulation", "condition", "level"]
    rule = [
        "profile",
        "size",
        "geometry",
        "training",
        "train_condition",
        "seed",
        "selection",
        "failure_policy",
        "protocol",
        "threshold",
        "cluster",
        "mini",
        "crop_mismatch",
    ]
    counts = ["n", "n_media", "n_positive", "coverage", "coverage_real", "coverage_fake"]
    numbers = [f"{m}{part}" for m in metrics for part in ("", "_low", "_high", "_undefined", "_interval_note")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*plain, *numbers, *counts, *rule])
    for row in rows:
        found = [row.values.get(m) for m in metrics]
        fields = [(v.value, v.low, v.high, v.undefined, v.interval_note) if v else (None,) * 5 for v in found]
        flat = [item for group in fields for item in group]
        line = [*(getattr(row, k) for k in plain), *flat, *(getattr(row, k) for k in (*counts, *rule))]
        writer.writerow(["" if item is None else item for item in line])
    return stream.getvalue()


FORMATS: MappingProxyType[str, Callable[[Sequence[Row]], str]] = MappingProxyType(
    {"text": _text, "terminal": _terminal, "md": _markdown, "tex": _latex, "csv": _csv}
)
