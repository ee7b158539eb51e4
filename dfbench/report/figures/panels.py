"""Figures and confusion matrices of every data set, subset and condition that a page shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfbench.evaluation.run import Run
from dfbench.metrics import confusion_matrix
from dfbench.metrics.names import title_of
from dfbench.metrics.score_rows import SliceKey
from dfbench.report.figures.curves import calibration_figure, det_figure, roc_figure
from dfbench.report.figures.distributions import bars_figure, distribution_figure, histogram_figure
from dfbench.report.figures.figure_data import DetectorScores, FigureData
from dfbench.report.figures.robustness import curves_figure, heat_figure
from dfbench.report.robustness import robustness_summaries
from dfbench.report.rows import ResultRow, metrics_of

Figures = tuple[str, ...]


@dataclass(frozen=True)
class ConfusionCell:
    """Number of samples of one class predicted as another, and their percentage of the class."""

    count: int
    percent: float
    correct: bool


@dataclass(frozen=True)
class ConfusionTable:
    """One detector on one data set, subset and condition.

    Attributes:
        title: detector, data and level.
        classes: class names in the order of the logits; the columns are predicted classes.
        lines: true class, number of its samples, and its cells; classes without samples are omitted.
    """

    title: str
    classes: tuple[str, ...]
    lines: tuple[tuple[str, int, tuple[ConfusionCell, ...]], ...]


@dataclass(frozen=True)
class Panels:
    """Figures as SVG text; a kind without figures is empty.

    Attributes:
        roc: ROC curves, one figure per slice.
        det: DET curves, one figure per slice.
        calibration: reliability diagrams, one figure per slice.
        hist: score histograms, one figure per slice and detector.
        bars: the metric by manipulation, one figure per slice.
        distribution: scores by manipulation, one figure per slice.
        metric: the metric of the bars.
    """

    roc: Figures
    det: Figures
    calibration: Figures
    hist: Figures
    bars: Figures
    distribution: Figures
    metric: str


def panels(data: FigureData, rows: Sequence[ResultRow]) -> Panels:
    """Draw the figures.

    Args:
        data: level, slices and scores.
        rows: rows of the runs, for the bars: AUC if they have it, else ACC.
    """
    metrics = metrics_of(rows)
    metric = next((m for m in ("auc", "acc") if m in metrics), next(iter(metrics), "auc"))
    kinds: dict[str, list[str | None]] = {k: [] for k in ("roc", "det", "calibration", "hist", "bars", "distribution")}
    for number, key in enumerate(data.slices):
        title, mini = data.title(key), data.mini
        curves = {detector.label: detector.samples[key] for detector in data.detectors if key in detector.samples}
        videos = {detector.label: _at(detector, key) for detector in data.detectors}
        own = [r for r in rows if (r.dataset, r.subset, r.condition) == key and r.level == data.rule]
        kinds["roc"].append(roc_figure(curves, title, f"roc{number}", mini))
        kinds["det"].append(det_figure(curves, title, f"det{number}", mini))
        kinds["calibration"].append(calibration_figure(curves, title, f"calibration{number}", mini))
        kinds["bars"].append(bars_figure(own, metric, title, f"bars{number}", mini))
        kinds["distribution"].append(distribution_figure(videos, title, f"distribution{number}", mini))
        for index, detector in enumerate(data.detectors):
            if key in detector.samples:
                name, head = f"hist{number}x{index}", f"{detector.label}: {title}"
                kinds["hist"].append(histogram_figure(detector.samples[key], detector.threshold, head, name, mini))
    return Panels(**{kind: _drawn(found) for kind, found in kinds.items()}, metric=title_of(metric))


def confusion_tables(data: FigureData) -> list[ConfusionTable]:
    """Build one confusion matrix per multi-class detector and slice."""
    found = []
    for key in data.slices:
        for detector in data.detectors:
            samples = detector.samples.get(key)
            if samples is None or samples.classes is None or not len(samples.classes.truth):
                continue
            decided = slice(None) if samples.chance is None else ~samples.chance
            truth, called = samples.classes.truth[decided], samples.classes.called[decided]
            counts = confusion_matrix(truth, called, len(detector.classes))
            lines = tuple(
                (name, int(row.sum()), tuple(_cells(row, number)))
                for number, (name, row) in enumerate(zip(detector.classes, counts, strict=True))
                if row.sum()
            )
            found.append(ConfusionTable(f"{detector.label}: {data.title(key)}", detector.classes, lines))
    return found


def robustness_panels(runs: Sequence[Run], rule: str) -> tuple[Figures, Figures]:
    """Draw degradation curves per data set and subset, and heat maps per detector; of AUC if there is one."""
    found = robustness_summaries(runs)
    names = list(dict.fromkeys(one.found.name for one in found))
    metric = next((n for n in (f"auc.{rule}", *names) if n in names), "")
    drawn = [one for one in found if one.found.name == metric]
    mini = any(run.result.mini for run in runs)
    sets = list(dict.fromkeys(one.data for one in drawn))
    curves = (
        curves_figure([one for one in drawn if one.data == name], f"curves{number}", mini)
        for number, name in enumerate(sets)
    )
    heats = (heat_figure(one, f"heat{number}", mini) for number, one in enumerate(drawn))
    return _drawn(curves), _drawn(heats)


def _at(detector: DetectorScores, key: SliceKey) -> pd.DataFrame:
    videos = detector.videos
    here = (videos["dataset"] == key[0]) & (videos["subset"] == key[1]) & (videos["condition"] == key[2])
    return videos[here]


def _drawn(found: Iterable[str | None]) -> Figures:
    return tuple(svg for svg in found if svg)


def _cells(row: NDArray[np.int64], number: int) -> list[ConfusionCell]:
    shares = 100 * row / row.sum()
    return [ConfusionCell(int(n), float(p), i == number) for i, (n, p) in enumerate(zip(row, shares, strict=True))]
