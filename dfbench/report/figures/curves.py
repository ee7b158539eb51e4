"""ROC and DET curves and reliability diagrams of several detectors on the same samples, as SVG text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from dfbench.metrics import brier, det_curve, ece, equal_error, reliability, roc_curve
from dfbench.metrics.samples import MetricSamples
from dfbench.report.figures.svg import INK, heads, legend, new_figure, plain, style, to_svg

_STEPS = 1000  # resolution of an axis: closer points are within the line width
_RATES = np.array([0.0001, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])  # ticks of DET axes
_LARGEST_DOT = 160.0  # square points, for a bin with all samples


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Select the points of a curve to draw: those that move by a thousandth of an axis, and both ends.

    Args:
        x: (V,) position on the axis, in [0,1] if visible.
        y: (V,) position on the other axis.
    """
    grid = np.round(np.clip(np.stack([x, y]), -0.1, 1.1) * _STEPS)
    moved = np.any(np.diff(grid, axis=1) != 0, axis=0)
    # The last point before a step is kept as well, so that steps remain steps.
    return np.concatenate(([True], moved)) | np.concatenate((moved, [True]))


def roc_figure(curves: Mapping[str, MetricSamples], title: str, name: str, mini: bool) -> str | None:
    """Draw ROC curves with their equal-error points.

    Args:
        curves: detector -> the samples it was evaluated on.
        title: title of the figure.
        name: id prefix, unique on the page.
        mini: whether the data are invented faces.

    Returns:
        SVG text; None if no detector has both classes.
    """
    figure, axes = new_figure(4.6, 4.6, mini)
    drawn = list(_both_classes(curves))
    if not drawn:
        return None
    for label, samples, colour, dash in drawn:
        curve = roc_curve(samples.labels, samples.scores)
        rate = equal_error(samples.labels, samples.scores).value
        keep = thinned(curve.fpr, curve.tpr)
        axes.plot(curve.fpr[keep], curve.tpr[keep], dash, color=colour, lw=2, label=plain(label))
        axes.plot([rate], [1 - rate], "o", color=colour, ms=7)
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, alpha=0.5)
    axes.plot([0, 1], [1, 0], color=INK, lw=0.8, alpha=0.5, ls=":")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    heads(axes, title, "false positive rate", "true positive rate")
    legend(axes, loc="lower right")
    return to_svg(figure, name, f"ROC curves: {title}; dots mark the equal error rate")


def det_figure(curves: Mapping[str, MetricSamples], title: str, name: str, mini: bool) -> str | None:
    """Draw DET curves on normal-deviate axes with their equal-error points; see :func:`roc_figure` for the arguments.

    An axis starts at the tick below the smallest rate that the larger class can resolve, and ends at 95 %.
    """
    figure, axes = new_figure(4.6, 4.6, mini)
    ticks = _ticks(curves)
    ends = norm.ppf(ticks[[0, -1]])
    drawn = list(_both_classes(curves))
    if not drawn:
        return None
    for label, samples, colour, dash in drawn:
        curve = det_curve(samples.labels, samples.scores)
        rate = equal_error(samples.labels, samples.scores).value
        x, y = _deviates(curve.fpr), _deviates(curve.fnr)
        keep = thinned((x - ends[0]) / (ends[1] - ends[0]), (y - ends[0]) / (ends[1] - ends[0]))
        axes.plot(x[keep], y[keep], dash, color=colour, lw=2, label=plain(label))
        axes.plot(_deviates(np.array([rate])), _deviates(np.array([rate])), "o", color=colour, ms=7)
    axes.plot(ends, ends, color=INK, lw=0.8, alpha=0.5, ls=":")
    names = [f"{100 * tick:g}" for tick in ticks]
    axes.set_xticks(norm.ppf(ticks), names)
    axes.set_yticks(norm.ppf(ticks), names)
    axes.grid(color=INK, lw=0.4, alpha=0.25)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    heads(
        axes,
        title,
        "false positive rate, %",
        "false negative rate, %",
    )
    legend(axes, loc="upper right")
    return to_svg(figure, name, f"DET curves: {title}; dots mark the equal error rate")


def calibration_figure(curves: Mapping[str, MetricSamples], title: str, name: str, mini: bool) -> str | None:
    """Draw a reliability diagram: fraction of fakes against mean score in the bins of ECE.

    The area of a dot is the fraction of samples in its bin.

    See :func:`roc_figure` for the arguments.

    Returns:
        SVG text; None if there are no samples.
    """
    figure, axes = new_figure(4.6, 4.6, mini)
    drawn = 0
    for index, (label, samples) in enumerate(curves.items()):
        if not len(samples.labels):
            continue
        found = reliability(samples.labels, samples.scores)
        some = found.counts > 0
        error, square = (100 * of(samples.labels, samples.scores) for of in (ece, brier))
        colour, dash = style(index)
        text = plain(f"{label}: ECE {error:.1f}, Brier {square:.1f}")
        axes.plot(found.scores[some], found.fakes[some], dash, color=colour, lw=1.5, label=text, clip_on=False)
        sizes = 12 + _LARGEST_DOT * found.counts[some] / len(samples.labels)
        axes.scatter(found.scores[some], found.fakes[some], sizes, color=colour, alpha=0.75, clip_on=False)
        drawn += 1
    if not drawn:
        return None
    axes.plot([0, 1], [0, 1], color=INK, lw=0.8, alpha=0.5, ls=":")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    heads(axes, title, "mean score of the bin, P(fake)", "fraction of fakes in the bin")
    figure.legend(loc="outside upper left", frameon=False, fontsize=10, labelcolor=INK)
    return to_svg(figure, name, f"Reliability diagram: {title}; ECE and Brier score in percent")


def _both_classes(curves: Mapping[str, MetricSamples]) -> Iterator[tuple[str, MetricSamples, str, str]]:
    """Label, samples, colour and dash of the detectors that have a curve: those evaluated on reals and fakes."""
    for index, (label, samples) in enumerate(curves.items()):
        if len(np.unique(samples.labels)) == 2:
            yield label, samples, *style(index)


def _ticks(curves: Mapping[str, MetricSamples]) -> NDArray[np.float64]:
    most = max((int(np.bincount(s.labels, minlength=2).max()) for s in curves.values()), default=1)
    first = np.searchsorted(_RATES, 1 / max(most, 1), side="right") - 1
    return _RATES[min(max(int(first), 0), int(np.searchsorted(_RATES, 0.1))) :]


def _deviates(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal deviates; rates of 0 and 1, which have none, are mapped outside every axis."""
    return np.asarray(norm.ppf(np.clip(rates, 1e-6, 1 - 1e-6)), np.float64)
