"""Tables for the terminal: drawn by rich on one, plain aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

Cell = str | int


def print_table(header: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> None:
    """Print a table; numbers to the right. Off a terminal there is no colour, frame or wrapping."""
    numbers = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    text = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(header, text, numbers, title)
        return
    widths = [max(len(line[i]) for line in [list(header), *text]) for i in range(len(header))]
    if title:
        click.echo(title)
    for line in [list(header), *text]:
        cells = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, numbers, strict=True))
        click.echo("  ".join(cells).rstrip())


def _draw(header: Sequence[str], text: Sequence[Sequence[str]], numbers: Sequence[bool], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for name, number in zip(header, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for line in text:
        table.add_row(*line)
    Console().print(table)
