"""Matplotlib figures as SVG text for an HTML page: deterministic, for light and dark pages, with unique ids."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from dfbench.report.table_notes import MINI_NOTE

INK = "#010203"
"""Placeholder for the text colour of the page; it becomes ``currentColor``."""

# The palette of Okabe and Ito, distinguishable by colour-blind readers; without black, invisible on dark pages.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
REAL_COLOUR, FAKE_COLOUR = COLOURS[0], COLOURS[1]


def style(index: int) -> tuple[str, str]:
    """Return colour and dash of the i-th curve; the dash changes after the last colour."""
    return COLOURS[index % len(COLOURS)], DASHES[(index // len(COLOURS)) % len(DASHES)]


def new_figure(width: float, height: float, mini: bool) -> tuple[Figure, Axes]:
    """Create a transparent figure with one plot, marked if the data are invented faces; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    soften(axes)
    if mini:
        figure.supxlabel(MINI_NOTE, fontsize=9, color=INK, style="italic", x=0.99, ha="right")
    return figure, axes


def soften(axes: Axes, labelsize: int = 10) -> None:
    """Make a plot transparent, without upper and right spine, in the text colour of the page."""
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=labelsize)


def heads(axes: Axes, title: str, x: str, y: str = "") -> None:
    """Set title and axis labels in the text colour of the page."""
    axes.set_title(plain(title), color=INK, fontsize=11)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def legend(axes: Axes, **where: Any) -> None:
    """Add a legend without a frame."""
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, **where)


def plain(text: str) -> str:
    """Escape dollar signs, which would start a formula."""
    return text.replace("$", r"\$")


def to_svg(figure: Figure, name: str, title: str) -> str:
    """Render a figure.

    Args:
        figure: a figure drawn in :data:`INK` where it should follow the text colour of the page.
        name: prefix of all ids, unique on the page.
        title: description for screen readers.

    Returns:
        One ``<svg>`` element with a viewBox, without fixed size, metadata or references outside itself.
    """
    stream = io.StringIO()
    settings: Any = {"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        FigureCanvasSVG(figure)
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    text = text.replace(INK, "currentColor")
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{_attribute(title)}">{rest.strip()}'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
