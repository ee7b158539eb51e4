"""Degradation curves and heat maps, as SVG text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from dfbench.metrics import parse_metric
from dfbench.report.figures.svg import INK, plain, soften, style, to_svg
from dfbench.report.robustness import RunRobustness
from dfbench.report.table_notes import MINI_NOTE

COLUMNS = 5
SEVERITIES = (1, 2, 3, 4, 5)
COLOURS = "cividis"  # distinguishable by colour-blind readers and by lightness


def standard_families(found: Sequence[RunRobustness]) -> list[str]:
    """Return the families with conditions at standard severities, in the order of the runs."""
    return list(dict.fromkeys(c.family for one in found for c in one.found.cells if c.severity is not None))


def grid(one: RunRobustness, families: Sequence[str]) -> np.ndarray:
    """Return the metric by family and severity, (families, 5) float64, NaN where there is no condition."""
    values = np.full((len(families), len(SEVERITIES)), np.nan)
    for cell in one.found.cells:
        if cell.severity is not None and cell.family in families and cell.value is not None:
            values[families.index(cell.family), cell.severity - 1] = cell.value
    return values


def curves_figure(found: Sequence[RunRobustness], name: str, mini: bool) -> str | None:
    """Draw the metric over severity, one plot per family and one line per detector; severity 0 is the clean sample.

    Args:
        found: summaries of one metric on one data set and subset, one per detector.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None if there are no standard severities.
    """
    families = standard_families(found)
    if not families:
        return None
    columns = min(COLUMNS, len(families))
    lines = math.ceil(len(families) / columns)
    figure = Figure(figsize=(2.2 * columns, 1.9 * lines + 0.9), layout="constrained")
    figure.patch.set_alpha(0)
    plots = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    grids = [grid(one, families) for one in found]
    for plot in plots[len(families) :]:
        plot.set_visible(False)
    for number, (family, plot) in enumerate(zip(families, plots, strict=False)):
        soften(plot, 9)
        plot.set_title(family, fontsize=10, color=INK)
        plot.tick_params(labelbottom=number + columns >= len(families))  # shared axes label only the last row
        for index, (one, values) in enumerate(zip(found, grids, strict=True)):
            colour, dash = style(index)
            clean = np.nan if one.found.value is None else one.found.value
            label = plain(one.label) if number == 0 else None
            plot.plot([0, *SEVERITIES], 100 * np.array([clean, *values[number]]), dash, color=colour, label=label)
    plots[0].set_xticks([0, *SEVERITIES])
    figure.supxlabel("severity" + (f" ({MINI_NOTE})" if mini else ""), fontsize=10, color=INK)
    figure.supylabel(f"{_title(found[0])}, %", fontsize=10, color=INK)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10, labelcolor=INK)
    return to_svg(figure, name, f"{_title(found[0])} by severity of every degradation: {found[0].data}")


def heat_figure(one: RunRobustness, name: str, mini: bool) -> str | None:
    """Draw the metric by family and severity as a heat map with numbers.

    Args:
        one: the summary of a detector.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None if there are no standard severities.
    """
    families = standard_families([one])
    if not families:
        return None
    values = 100 * np.column_stack(
        [np.full(len(families), np.nan if one.found.value is None else one.found.value), grid(one, families)]
    )
    figure = Figure(figsize=(4.6, 1.3 + 0.27 * len(families)), layout="constrained")
    figure.patch.set_alpha(0)
    plot = figure.add_subplot()
    soften(plot, 9)
    low = 50.0 if parse_metric(one.found.name).metric == "auc" else 0.0
    plot.imshow(values, cmap=COLOURS, vmin=low, vmax=100, aspect="auto", interpolation="nearest")
    for (line, column), value in np.ndenumerate(values):
        dark = value < (low + 100) / 2
        text = "" if np.isnan(value) else f"{value:.0f}"
        plot.text(column, line, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    plot.set_yticks(range(len(families)), families)
    plot.set_xticks(range(values.shape[1]), ["clean", *map(str, SEVERITIES)])
    plot.xaxis.tick_top()
    if mini:
        figure.supxlabel(MINI_NOTE, fontsize=9, color=INK, style="italic")
    plot.set_title(plain(f"{one.label}: {one.data}, {_title(one)}, %"), color=INK, fontsize=11)
    return to_svg(figure, name, f"{_title(one)} of {one.label} by degradation and severity: {one.data}")


def _title(one: RunRobustness) -> str:
    name = parse_metric(one.found.name)
    return f"{name.definition.title} ({name.rule})"
