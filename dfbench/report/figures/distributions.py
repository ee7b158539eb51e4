"""Score histograms, and metrics and score distributions by manipulation, as SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dfbench.metrics.names import title_of
from dfbench.metrics.samples import MetricSamples
from dfbench.report.figures.svg import FAKE_COLOUR, INK, REAL_COLOUR, heads, legend, new_figure, plain, style, to_svg
from dfbench.report.rows import ResultRow

_BINS = 25
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def histogram_figure(samples: MetricSamples, threshold: float, title: str, name: str, mini: bool) -> str | None:
    """Draw the scores of reals and fakes as fractions of their class; None if there are no samples."""
    if not len(samples.labels):
        return None
    figure, axes = new_figure(4.6, 3.0, mini)
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    for label, kind, colour, hatch in ((0, "real", REAL_COLOUR, ""), (1, "fake", FAKE_COLOUR, "///")):
        own = samples.scores[samples.labels == label]
        if len(own):
            weights = np.full(len(own), 100 / len(own))
            options: dict[str, Any] = {"color": colour, "alpha": 0.55, "hatch": hatch, "edgecolor": colour, "lw": 1}
            axes.hist(own, edges, weights=weights, label=f"{kind} ({len(own)})", histtype="stepfilled", **options)
    axes.axvline(threshold, color=INK, lw=0.8, ls="--")
    axes.set_xlim(0, 1)
    heads(axes, title, "score, P(fake)", "% of the class")
    legend(axes)
    return to_svg(figure, name, f"Score histogram: {title}")


def bars_figure(rows: Sequence[ResultRow], metric: str, title: str, name: str, mini: bool) -> str | None:
    """Draw a metric by manipulation, one bar per detector, with 95 % intervals.

    Args:
        rows: detector rows of one data set, subset, condition and level.
        metric: key of :attr:`ResultRow.values`.
        title: title of the figure.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None if no row has a value.
    """
    rows = [r for r in rows if not r.baseline and metric in r.values and r.values[metric].value is not None]
    if not rows:
        return None
    methods = list(dict.fromkeys(r.manipulation for r in rows))
    models = list(dict.fromkeys(r.model for r in rows))
    figure, axes = new_figure(4.6, _height(len(methods), len(models)), mini)
    step = 0.8 / len(models)
    for index, model in enumerate(models):
        colour, _ = style(index)
        own = [r for r in rows if r.model == model]
        at = [methods.index(r.manipulation) - 0.4 + step * (index + 0.5) for r in own]
        values = np.array([100 * float(r.values[metric].value or 0.0) for r in own])
        axes.barh(at, values, step * 0.9, color=colour, alpha=0.75, label=plain(model))
        for y, value, row in zip(at, values, own, strict=True):
            number = row.values[metric]
            right = value
            if number.low is not None and number.high is not None:
                right = 100 * number.high
                axes.plot([100 * number.low, right], [y, y], color=INK, lw=1.5)
            axes.annotate(
                f"{value:.1f}", (max(right, value), y), (4, 0), textcoords="offset points", va="center", color=INK
            )
    axes.set_yticks(range(len(methods)), [plain(m) for m in methods])
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 25))
    if metric == "auc":
        axes.axvline(50, color=INK, lw=0.8, ls=":")
    heads(axes, title, f"{title_of(metric)}, %")
    if len(models) > 1:
        figure.legend(loc="outside upper center", ncols=min(len(models), 3), frameon=False, fontsize=10, labelcolor=INK)
    return to_svg(figure, name, f"{title_of(metric)} by manipulation: {title}")


def distribution_figure(videos: Mapping[str, pd.DataFrame], title: str, name: str, mini: bool) -> str | None:
    """Draw the video scores of each manipulation: median, interquartile range, and 5 % to 95 %.

    Args:
        videos: detector -> rows of :func:`dfbench.metrics.video_table` on one slice.
        title: title of the figure.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None if no video has a score.
    """
    scored = {label: table.dropna(subset="score") for label, table in videos.items()}
    scored = {label: table for label, table in scored.items() if len(table)}
    if not scored:
        return None
    both = pd.concat(scored.values())[["label", "manipulation"]].drop_duplicates()
    methods = both.sort_values(["label", "manipulation"])["manipulation"].unique().tolist()
    figure, axes = new_figure(4.6, _height(len(methods), len(scored)), mini)
    step = 0.8 / len(scored)
    for index, (label, table) in enumerate(scored.items()):
        colour, _ = style(index)
        for method, own in table.groupby("manipulation"):
            y = methods.index(method) - 0.4 + step * (index + 0.5)
            low, left, middle, right, high = np.quantile(own["score"], _QUANTILES)
            axes.plot([low, high], [y, y], color=colour, lw=1.5)
            axes.barh([y], [right - left], step * 0.7, [left], color=colour, alpha=0.6)
            axes.plot([middle, middle], [y - step * 0.35, y + step * 0.35], color=INK, lw=2)
        axes.barh([np.nan], [0], color=colour, alpha=0.6, label=plain(label))
    axes.set_yticks(range(len(methods)), [plain(m) for m in methods])
    axes.invert_yaxis()
    axes.set_xlim(-0.01, 1.01)
    heads(axes, title, "score, P(fake)")
    if len(scored) > 1:
        figure.legend(loc="outside upper center", ncols=min(len(scored), 3), frameon=False, fontsize=10, labelcolor=INK)
    return to_svg(figure, name, f"Video scores by manipulation: {title}")


def _height(methods: int, models: int) -> float:
    return 1.1 + 0.32 * methods * models + 0.3 * methods
