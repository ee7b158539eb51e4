"""The learning curve: a CSV file with one line per epoch, and a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dfbench.io import write_text
from dfbench.training.store import EpochRecord

HEAD_COLOURS = ("#CC79A7", "#009E73", "#E69F00", "#56B4E9")
"""Lines of further heads; colours that colour-blind readers tell apart."""


def head_names(curve: Sequence[EpochRecord]) -> list[str]:
    """Return the further heads of a detector, in their order."""
    return list(dict.fromkeys(name for record in curve for name in record.heads))


def head_column(name: str) -> str:
    """Return the name under which the validation metric of a further head is recorded.

    >>> head_column("rgb")
    'val_rgb'
    """
    return f"val_{name}"


def write_curve(path: Path, curve: Sequence[EpochRecord]) -> None:
    """Write the learning curve as CSV, atomically; further heads of the detector have the columns ``val_NAME``."""
    text = io.StringIO()
    columns = [name for name in EpochRecord.__dataclass_fields__ if name != "heads"]
    writer = csv.DictWriter(text, [*columns, *map(head_column, head_names(curve))], lineterminator="\n")
    writer.writeheader()
    for record in curve:
        row = asdict(record)
        writer.writerow(row | {head_column(name): value for name, value in row.pop("heads").items()})
    write_text(path, text.getvalue())


def draw_curve(path: Path, curve: Sequence[EpochRecord], best: int, title: str) -> None:
    """Draw training loss and validation metric over the epochs as SVG; the selected epoch is marked.

    Args:
        path: the figure, ``*.svg``.
        curve: all epochs.
        best: index of the selected one.
        title: of the figure.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    left = figure.add_subplot()
    epochs = [record.epoch for record in curve]
    left.plot(epochs, [record.train_loss for record in curve], "o-", color="#0072B2", markersize=4)
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="#0072B2")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    known = [(record.epoch, record.value) for record in curve if record.value is not None]
    if known:
        right = left.twinx()
        right.plot(
            [e for e, _ in known], [v for _, v in known], "s--", color="#D55E00", markersize=4, label="main head"
        )
        for number, name in enumerate(head_names(curve)):
            points = [(r.epoch, v) for r in curve if (v := r.heads.get(name)) is not None]
            colour = HEAD_COLOURS[number % len(HEAD_COLOURS)]
            right.plot([e for e, _ in points], [v for _, v in points], ":", color=colour, label=name)
        if head_names(curve):
            right.legend(fontsize=8)
        right.set_ylabel(f"{curve[best].metric} on validation data", color="#D55E00")
    left.axvline(curve[best].epoch, color="0.6", linewidth=1, zorder=0)
    left.set_title(f"{title.replace('$', chr(92) + '$')}: epoch {curve[best].epoch} selected", fontsize=10)
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "dfbench", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Title": title})
    write_text(path, stream.getvalue())
