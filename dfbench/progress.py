"""Progress bars with rate and remaining time on a terminal; nothing is printed elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dfbench.text import one_line


class Advance(Protocol):
    """Callback that advances a progress bar; ``note`` replaces the text at its end."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Advance the bar by ``steps``."""
        ...


def _silent(steps: int = 1, note: str = "") -> None:
    del steps, note


def is_terminal() -> bool:
    """Whether standard error is a terminal that can show a progress bar."""
    return sys.stderr.isatty()


@contextmanager
def progress(title: str, total: int, unit: str = "it", done: int = 0, quiet: bool = False) -> Iterator[Advance]:
    """Show a progress bar on standard error with rate and remaining time; silent if ``quiet`` or not on a terminal.

    Args:
        title: description of the work.
        total: number of steps.
        unit: name of a step, for the rate.
        done: number of steps finished by an earlier run.
        quiet: show nothing.

    Yields:
        The function that advances the bar.
    """
    if quiet or not is_terminal():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(one_line(title), total=total, completed=done, rate="", note="")

        def advance(steps: int = 1, note: str = "") -> None:
            bar.advance(task, steps)
            state = bar.tasks[0]
            elapsed = state.elapsed or 0.0
            rate = f"{(state.completed - done) / elapsed:.1f} {unit}/s" if elapsed > 0 else ""
            if note:
                bar.update(task, rate=rate, note=one_line(note))
            else:
                bar.update(task, rate=rate)

        yield advance
