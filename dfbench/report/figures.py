"""ROC curves, score histograms and per-manipulation bars, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfbench.errors import UndefinedMetric
from dfbench.metrics import equal_error, roc_curve
from dfbench.metrics.names import title_of
from dfbench.metrics.samples import Samples
from dfbench.report.rows import Row
from dfbench.report.rules import MINI_NOTE
from dfbench.report.svg import FAKE_COLOUR, INK, REAL_COLOUR, style, to_svg

_MAX_POINTS = 2000  # of a drawn curve: beyond it, neighbours lie within a line's width
_BINS = 25


def _figure(width: float, height: float, mini: bool) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    if mini:
        figure.supxlabel(MINI_NOTE, fontsize=9, color=INK, style="italic", x=0.99, ha="right")
    return figure, axes


def _plain(text: str) -> str:
    """The text as it stands: dollar signs in a name start no formula."""
    return text.replace("$", r"\$")


def _legend(axes: Axes, **where: Any) -> None:
    axes.legend(frameon=False, fontsize=10, labelcolor=INK, **where)


def roc_figure(curves: Mapping[str, Samples], title: str, name: str, mini: bool) -> str | None:
    """ROC curves with their equal-error points.

    Args:
        curves: detector -> the samples it was judged on.
        title: what is drawn.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None where no detector has both classes.
    """
    figure, axes = _figure(4.6, 4.6, mini)
    drawn = 0
    for index, (label, samples) in enumerate(curves.items()):
        try:
            curve = roc_curve(samples.labels, samples.scores)
            rate = equal_error(samples.labels, samples.scores).value
        except UndefinedMetric:
            continue
        keep = np.unique(np.linspace(0, len(curve.fpr) - 1, _MAX_POINTS).round().astype(int))
        colour, dash = style(index)
        axes.plot(curve.fpr[keep], curve.tpr[keep], dash, color=colour, lw=2, label=_plain(label))
        axes.plot([rate], [1 - rate], "o", color=colour, ms=7)
        drawn += 1
    if not drawn:
        return None
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, alpha=0.5)
    axes.plot([0, 1], [1, 0], color=INK, lw=0.8, alpha=0.5, ls=":")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel("false positive rate (reals called fake)", color=INK)
    axes.set_ylabel("true positive rate (fakes called fake)", color=INK)
    axes.set_title(_plain(title), color=INK, fontsize=11)
    _legend(axes, loc="lower right")
    return to_svg(figure, name, f"ROC curves: {title}; dots mark the equal error rate")


def histogram_figure(samples: Samples, threshold: float, title: str, name: str, mini: bool) -> str | None:
    """Scores of reals and fakes, as shares of their class; None where there is no sample."""
    if not len(samples.labels):
        return None
    figure, axes = _figure(4.6, 3.0, mini)
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    for label, word, colour, hatch in ((0, "real", REAL_COLOUR, ""), (1, "fake", FAKE_COLOUR, "///")):
        own = samples.scores[samples.labels == label]
        if len(own):
            weights = np.full(len(own), 100 / len(own))
            options: dict[str, Any] = {"color": colour, "alpha": 0.55, "hatch": hatch, "edgecolor": colour, "lw": 1}
            axes.hist(own, edges, weights=weights, label=f"{word} ({len(own)})", histtype="stepfilled", **options)
    axes.axvline(threshold, color=INK, lw=0.8, ls="--")
    axes.set_xlim(0, 1)
    axes.set_xlabel("score, P(fake)", color=INK)
    axes.set_ylabel("% of the class", color=INK)
    axes.set_title(_plain(title), color=INK, fontsize=11)
    _legend(axes)
    return to_svg(figure, name, f"Score histogram: {title}")


def bars_figure(rows: Sequence[Row], metric: str, title: str, name: str, mini: bool) -> str | None:
    """One metric by manipulation, one bar a detector, with 95 % intervals.

    Args:
        rows: detector rows of one data set, subset, condition and level.
        metric: key of a value of the rows, as in :attr:`Row.values`.
        title: what is drawn.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None where no row has a value.
    """
    rows = [r for r in rows if not r.baseline and metric in r.values and r.values[metric].value is not None]
    if not rows:
        return None
    methods = list(dict.fromkeys(r.manipulation for r in rows))
    models = list(dict.fromkeys(r.model for r in rows))
    figure, axes = _figure(4.6, 1.1 + 0.32 * len(methods) * len(models) + 0.3 * len(methods), mini)
    step = 0.8 / len(models)
    for index, model in enumerate(models):
        colour, _ = style(index)
        own = [r for r in rows if r.model == model]
        at = [methods.index(r.manipulation) - 0.4 + step * (index + 0.5) for r in own]
        values = np.array([100 * float(r.values[metric].value or 0.0) for r in own])
        axes.barh(at, values, step * 0.9, color=colour, alpha=0.75, label=_plain(model))
        for y, value, row in zip(at, values, own, strict=True):
            number = row.values[metric]
            right = value
            if number.low is not None and number.high is not None:
                right = 100 * number.high
                axes.plot([100 * number.low, right], [y, y], color=INK, lw=1.5)
            axes.annotate(
                f"{value:.1f}", (max(right, value), y), (4, 0), textcoords="offset points", va="center", color=INK
            )
    axes.set_yticks(range(len(methods)), [_plain(m) for m in methods])
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 25))
    if metric == "auc":
        axes.axvline(50, color=INK, lw=0.8, ls=":")
    axes.set_xlabel(f"{title_of(metric)}, %", color=INK)
    axes.set_title(_plain(title), color=INK, fontsize=11)
    if len(models) > 1:
        figure.legend(loc="outside upper center", ncols=min(len(models), 3), frameon=False, fontsize=10, labelcolor=INK)
    return to_svg(figure, name, f"{title_of(metric)} by manipulation: {title}")
