"""Everything that the command line prints: text without control characters, and tables.

Names, licences, reasons and messages of libraries come from files. No other module of the package prints.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from dfbench.text import one_line, terminal_text

Value = str | int


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text; control characters in it, which a terminal would execute, are shown as escapes.

    Args:
        text: the text; newlines and tabs stay.
        err: on standard error.
        nl: end with a newline.
    """
    click.echo(terminal_text(str(text)), err=err, nl=nl)


def echo_rendered(text: str) -> None:
    """Print a table that :func:`dfbench.report.render` has rendered in colour for a terminal, from cleaned cells."""
    click.echo(text)


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
    text = [[one_line(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _draw(header, text, numbers, title, lines_between)
        return
    widths = [max(len(line[i]) for line in [list(header), *text]) for i in range(len(header))]
    if title:
        echo(title)
    for line in [list(header), *text]:
        aligned = (v.rjust(w) if n else v.ljust(w) for v, w, n in zip(line, widths, numbers, strict=True))
        echo("  ".join(aligned).rstrip())


def size_text(count: int) -> str:
    """Return a number of bytes as text, in powers of ten.

    >>> size_text(999), size_text(24_300_000), size_text(2_430_000_000), size_text(3_100_000_000_000)
    ('999 B', '24.3 MB', '2.4 GB', '3.1 TB')
    """
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count} B"


def _draw(
    header: Sequence[str], text: Sequence[Sequence[str]], numbers: Sequence[bool], title: str, lines_between: bool
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # plain strings would be read as markup

    table = Table(title=Text(one_line(title)) if title else None, title_justify="left", show_lines=lines_between)
    for name, number in zip(header, numbers, strict=True):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for line in text:
        table.add_row(*map(Text, line))
    Console().print(table)
