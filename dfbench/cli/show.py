"""Tables: drawn by rich on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

Value = str | int


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[Value]], title: str = "", *, lines_between: bool = False
) -> None:
    """Print a table with integers right-aligned; without colour, frame or wrapping if not on a terminal.

    Args:
        header: names of the columns.
        rows: text or integers, one per column.
        title: printed above.
        lines_between: draw lines between the rows on a terminal.
    """
    numbers = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    text = [[str(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _draw(header, text, numbers, title, lines_between)
        return
    widths = [max(len(line[i]) for line in [list(header), *text]) for i in range(len(header))]
    if title:
        click.echo(title)
    for line in [list(header), *text]:
        aligned = (v.rjust(w) if n else v.ljust(w) for v, w, n in zip(line, widths, numbers, strict=True))
        click.echo("  ".join(aligned).rstrip())


def _draw(
    header: Sequence[str], text: Sequence[Sequence[str]], numbers: Sequence[bool], title: str, lines_between: bool
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_lines=lines_between)
    for name, number in zip(header, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for line in text:
        table.add_row(*line)
    Console().print(table)
