"""Matplotlib figures as SVG text that can stand in a page: deterministic, light and dark, ids of their own."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#010203"
"""Colour that stands for the page's own text colour; it becomes ``currentColor``."""

# Okabe and Ito's colours, told apart by colour-blind readers; black is left out, it would vanish on dark pages.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
REAL_COLOUR, FAKE_COLOUR = COLOURS[0], COLOURS[1]


def style(index: int) -> tuple[str, str]:
    """Colour and dash of the i-th curve; the dash changes when the colours are used up."""
    return COLOURS[index % len(COLOURS)], DASHES[(index // len(COLOURS)) % len(DASHES)]


def to_svg(figure: Figure, name: str, title: str) -> str:
    """Render a figure.

    Args:
        figure: made by the object interface, drawn in :data:`INK` where it should follow the page.
        name: prefix of all ids, unique on the page.
        title: what the figure shows, for readers who do not see it.

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
