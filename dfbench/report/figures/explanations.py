"""Figures of an explanation, as PNG: maps beside crops, residuals, mean maps, confusion matrices."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dfbench.report.figures.svg import plain
from dfbench.report.table_notes import MINI_NOTE

if TYPE_CHECKING:
    from dfbench.explain.example_images import ExplainedImage, ResidualPair
    from dfbench.explain.face_distances import ReconstructedImage
    from dfbench.explain.record import Techniques

_SIDE = 1.6  # inches of one image
_DOTS_PER_INCH = 110
_LARGEST = 99.5  # percentile of a forgery attention map that is drawn white: single pixels are far above
_DIFFERENCE = 4  # amplification of the difference of two reconstructed faces
_SHARE = 0.6  # opacity of a class activation map over the crop


def maps_figure(examples: Sequence[ExplainedImage], title: str, mini: bool) -> bytes | None:
    """Draw crops beside their forgery attention map, class activation map and mask, one image per row.

    Args:
        examples: the images.
        title: above the figure.
        mini: whether the data are invented faces.

    Returns:
        A PNG; None without examples.
    """
    if not examples:
        return None
    heads = ["crop", "FAM"]
    heads += ["CAM, fake - real"] if any(e.cam is not None for e in examples) else []
    heads += ["mask"] if any(e.mask is not None for e in examples) else []
    figure, plots = _grid(len(examples), len(heads), title, mini)
    for line, example in zip(plots, examples, strict=True):
        panels = dict(zip(heads, line, strict=True))
        panels["crop"].imshow(example.crop)
        panels["crop"].set_ylabel(f"P(fake) {example.score:.2f}", fontsize=8)
        _draw_fam(panels["FAM"], example.fam)
        if example.cam is not None:
            largest = float(np.abs(example.cam).max()) or 1.0
            panels["CAM, fake - real"].imshow(example.crop)
            panels["CAM, fake - real"].imshow(
                example.cam, cmap="coolwarm", vmin=-largest, vmax=largest, alpha=_SHARE, interpolation="bilinear"
            )
        if example.mask is not None:
            panels["mask"].imshow(example.mask, cmap="gray", vmin=0, vmax=1)
    _head(plots[0], heads)
    return _png(figure)


def residuals_figure(pairs: Sequence[ResidualPair], factor: float, title: str, mini: bool) -> bytes | None:
    """Draw fakes beside their reals and both residuals, one pair per row (Figure 5 of GRnet's paper).

    Args:
        pairs: fakes and reals.
        factor: amplification of the residuals.
        title: above the figure.
        mini: whether the data are invented faces.

    Returns:
        A PNG; None without pairs.
    """
    if not pairs:
        return None
    figure, plots = _grid(len(pairs), 4, title, mini)
    for line, pair in zip(plots, pairs, strict=True):
        for axes, image in zip(line, (pair.real, pair.fake, pair.real_residual, pair.fake_residual), strict=True):
            if image is not None:
                axes.imshow(image)
        line[0].set_ylabel(plain(pair.manipulation), fontsize=8)
    _head(plots[0], ["real", "fake", f"real, residual x{factor:g}", f"fake, residual x{factor:g}"])
    return _png(figure)


def reconstructions_figure(images: Sequence[ReconstructedImage], title: str, mini: bool) -> bytes | None:
    """Draw images beside their reconstructed source and target and the amplified difference, one image per row.

    Args:
        images: the images.
        title: above the figure.
        mini: whether the data are invented faces.

    Returns:
        A PNG; None without images.
    """
    if not images:
        return None
    figure, plots = _grid(len(images), 4, title, mini)
    for line, image in zip(plots, images, strict=True):
        difference = np.abs(image.source.astype(np.int16) - image.target)
        shown = (image.crop, image.source, image.target, np.minimum(_DIFFERENCE * difference, 255))
        for axes, pixels in zip(line, shown, strict=True):
            axes.imshow(pixels.astype(np.uint8))
        line[0].set_ylabel(f"{plain(image.manipulation)}\ndistance {image.distance:.3f}", fontsize=8)
    _head(plots[0], ["image", "source", "target", f"difference x{_DIFFERENCE}"])
    return _png(figure)


def means_figure(means: Mapping[str, NDArray[np.float64]], title: str, mini: bool) -> bytes | None:
    """Draw the mean map of every manipulation, and below it that of every technique without their grand mean.

    Args:
        means: ``real`` and techniques -> (M, M), mean of maps of unit length.
        title: above the figure.
        mini: whether the data are invented faces.

    Returns:
        A PNG; None without maps.
    """
    if not means:
        return None
    techniques = [name for name in means if name != "real"]
    grand = np.mean([means[name] for name in techniques], axis=0) if len(techniques) > 1 else None
    figure, plots = _grid(2 if grand is not None else 1, len(means), title, mini)
    highest = max(float(np.percentile(values, _LARGEST)) for values in means.values()) or 1.0
    rests = {} if grand is None else {name: means[name] - grand for name in techniques}
    largest = max((float(np.percentile(np.abs(rest), _LARGEST)) for rest in rests.values()), default=0.0) or 1.0
    for column, (name, values) in enumerate(means.items()):
        plots[0][column].imshow(values, cmap="magma", vmin=0, vmax=highest)
        if name in rests:
            plots[1][column].imshow(rests[name], cmap="coolwarm", vmin=-largest, vmax=largest)
    plots[0][0].set_ylabel("mean FAM", fontsize=8)
    if grand is not None:
        plots[1][0].set_ylabel("less grand mean", fontsize=8)
    _head(plots[0], [plain(name) for name in means])
    return _png(figure)


def confusion_figure(techniques: Techniques, titles: Mapping[str, str], mini: bool) -> bytes:
    """Draw the confusion matrix of every way of naming techniques, in percent of the true technique.

    Args:
        techniques: the numbers.
        titles: name of a way -> its title.
        mini: whether the data are invented faces.
    """
    names, count = [plain(name) for name in techniques.names], len(techniques.names)
    width = max(2.4, 0.62 * count + 1.3)
    figure = Figure(figsize=(width * len(techniques.accuracies), 0.5 * count + 1.9), layout="constrained")
    plots = figure.subplots(1, len(techniques.accuracies), squeeze=False)[0]
    for axes, way in zip(plots, techniques.accuracies, strict=True):
        matrix = np.array(way.matrix, np.float64)
        totals = np.array([techniques.classified[name] for name in techniques.names], np.float64)[:, None]
        shares = 100 * np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
        axes.imshow(shares, cmap="cividis", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
        for (line, column), share in np.ndenumerate(shares):
            colour = "white" if share < 50 else "black"
            axes.text(column, line, f"{share:.0f}", ha="center", va="center", fontsize=8, color=colour)
        axes.set_title(f"{titles[way.name]}: {100 * way.accuracy:.1f} %", fontsize=9)
        axes.set_xticks(range(count), names, rotation=35, ha="right", fontsize=8)
        axes.set_yticks(range(count), names if axes is plots[0] else [""] * count, fontsize=8)
        axes.set_xlabel("named", fontsize=8)
    plots[0].set_ylabel("true", fontsize=8)
    if mini:
        figure.supxlabel(MINI_NOTE, fontsize=8, style="italic", x=0.99, ha="right")
    return _png(figure)


def _grid(lines: int, columns: int, title: str, mini: bool) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(_SIDE * columns + 0.3, _SIDE * lines + 0.7), layout="constrained")
    figure.suptitle(plain(title), fontsize=9)
    plots: NDArray[Any] = figure.subplots(lines, columns, squeeze=False)
    for axes in plots.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)
    if mini:
        figure.supxlabel(MINI_NOTE, fontsize=8, style="italic", x=0.99, ha="right")
    return figure, plots


def _head(plots: Sequence[Axes], heads: Sequence[str]) -> None:
    for axes, head in zip(plots, heads, strict=True):
        axes.set_title(head, fontsize=8)


def _draw_fam(axes: Axes, fam: NDArray[np.float32]) -> None:
    axes.imshow(fam, cmap="magma", vmin=0, vmax=float(np.percentile(fam, _LARGEST)) or 1.0)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()
