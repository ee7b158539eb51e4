"""The figures of every data set, subset and condition that a page shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from dfbench.evaluation.run import Run
from dfbench.metrics.names import title_of
from dfbench.metrics.score_rows import SliceKey
from dfbench.report.figures.curves import calibration_figure, det_figure, roc_figure
from dfbench.report.figures.distributions import bars_figure, histogram_figure, spread_figure
from dfbench.report.figures.figure_data import Seen, Shown
from dfbench.report.figures.robustness import curves_figure, heat_figure
from dfbench.report.robustness import judged
from dfbench.report.rows import Row, metrics_of

Figures = tuple[str, ...]


@dataclass(frozen=True)
class Panels:
    """Figures as SVG text; each kind is empty where none of it exists.

    Attributes:
        roc: ROC curves, one figure a place.
        det: DET curves, likewise.
        calibration: reliability diagrams, likewise.
        hist: score histograms, one a place and detector.
        bars: the metric by manipulation, one a place.
        spread: scores by manipulation, one a place.
        metric: what the bars show.
    """

    roc: Figures
    det: Figures
    calibration: Figures
    hist: Figures
    bars: Figures
    spread: Figures
    metric: str


def panels(shown: Shown, rows: Sequence[Row]) -> Panels:
    """Draw what is shown.

    Args:
        shown: level, places and scores.
        rows: rows of the runs; bars come from them: AUC where they have it, else ACC.
    """
    metrics = metrics_of(rows)
    metric = next((m for m in ("auc", "acc") if m in metrics), next(iter(metrics), "auc"))
    kinds: dict[str, list[str | None]] = {k: [] for k in ("roc", "det", "calibration", "hist", "bars", "spread")}
    for number, place in enumerate(shown.places):
        title, mini = shown.title(place), shown.mini
        curves = {seen.label: seen.samples[place] for seen in shown.detectors if place in seen.samples}
        videos = {seen.label: _at(seen, place) for seen in shown.detectors}
        own = [r for r in rows if (r.dataset, r.subset, r.condition) == place and r.level == shown.rule]
        kinds["roc"].append(roc_figure(curves, title, f"roc{number}", mini))
        kinds["det"].append(det_figure(curves, title, f"det{number}", mini))
        kinds["calibration"].append(calibration_figure(curves, title, f"calibration{number}", mini))
        kinds["bars"].append(bars_figure(own, metric, title, f"bars{number}", mini))
        kinds["spread"].append(spread_figure(videos, title, f"spread{number}", mini))
        for index, seen in enumerate(shown.detectors):
            if place in seen.samples:
                name, head = f"hist{number}x{index}", f"{seen.label}: {title}"
                kinds["hist"].append(histogram_figure(seen.samples[place], seen.threshold, head, name, mini))
    return Panels(**{kind: _drawn(found) for kind, found in kinds.items()}, metric=title_of(metric))


def robustness_panels(runs: Sequence[Run], rule: str) -> tuple[Figures, Figures]:
    """Degradation curves, one a data set and subset, and heat maps, one a detector; of AUC where there is one."""
    found = judged(runs)
    names = list(dict.fromkeys(one.found.name for one in found))
    metric = next((n for n in (f"auc.{rule}", *names) if n in names), "")
    drawn = [one for one in found if one.found.name == metric]
    mini = any(run.result.mini for run in runs)
    places = list(dict.fromkeys(one.data for one in drawn))
    curves = (
        curves_figure([one for one in drawn if one.data == place], f"curves{number}", mini)
        for number, place in enumerate(places)
    )
    heats = (heat_figure(one, f"heat{number}", mini) for number, one in enumerate(drawn))
    return _drawn(curves), _drawn(heats)


def _at(seen: Seen, place: SliceKey) -> pd.DataFrame:
    videos = seen.videos
    here = (videos["dataset"] == place[0]) & (videos["subset"] == place[1]) & (videos["condition"] == place[2])
    return videos[here]


def _drawn(found: Iterable[str | None]) -> Figures:
    return tuple(svg for svg in found if svg)
