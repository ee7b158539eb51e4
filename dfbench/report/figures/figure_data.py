"""Data of the figures and the table of videos: one level, a limited number of slices, every detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dfbench.evaluation.run import Run
from dfbench.metrics import parse_metric, video_table
from dfbench.metrics.compute import samples_by_slice
from dfbench.metrics.samples import MetricSamples
from dfbench.metrics.score_rows import SliceKey
from dfbench.report.rows import ResultRow

MAX_FIGURES = 12
"""Number of slices with figures; with more slices, only clean samples have figures."""


@dataclass(frozen=True, eq=False)
class DetectorScores:
    """The scores of one detector on the slices that have figures.

    Attributes:
        label: label of the run.
        threshold: decision threshold of samples or videos.
        classes: class names of a multi-class task.
        failure_policy: how samples without a score count.
        samples: samples of the metrics by (data set, subset, condition).
        videos: result of :func:`dfbench.metrics.video_table` for the conditions that have figures.
    """

    label: str
    threshold: float
    classes: tuple[str, ...]
    failure_policy: str
    samples: Mapping[SliceKey, MetricSamples]
    videos: pd.DataFrame


@dataclass(frozen=True, eq=False)
class FigureData:
    """What the figures of a report show.

    Attributes:
        rule: level and aggregation, as in ``video.mean``.
        slices: (data set, subset, condition) that have figures.
        left_out: number of further slices, which are in the tables only.
        detectors: the scores of every run, in the order given.
        mini: whether any run is on invented faces.
    """

    rule: str
    slices: tuple[SliceKey, ...]
    left_out: int
    detectors: tuple[DetectorScores, ...]
    mini: bool

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that have figures."""
        return tuple(dict.fromkeys(condition for _, _, condition in self.slices))

    def title(self, key: SliceKey) -> str:
        """Return the title of a slice, as in ``ff++/c23, JP60, video.mean``."""
        dataset, subset, condition = key
        where = f"{dataset}/{subset}" + ("" if condition == "clean" else f", {condition}")
        return f"{where}, {self.rule}"


def collect_figure_data(runs: Sequence[Run], rows: Sequence[ResultRow]) -> FigureData:
    """Select the slices to draw and collect their scores.

    The level is ``video.mean`` if there is one, else the first of the rows; the table of videos then uses the mean.

    Args:
        runs: the runs.
        rows: their rows from :func:`dfbench.report.rows.result_rows`.
    """
    levels = list(dict.fromkeys(row.level for row in rows))
    rule = "video.mean" if "video.mean" in levels else next(iter(levels), "frame")
    slices = tuple(dict.fromkeys((r.dataset, r.subset, r.condition) for r in rows if not r.baseline))
    clean = tuple(key for key in slices if key[2] == "clean")
    drawn = slices if len(slices) <= MAX_FIGURES else (clean or slices)[:MAX_FIGURES]
    return FigureData(
        rule=rule,
        slices=drawn,
        left_out=len(slices) - len(drawn),
        detectors=tuple(_detector_scores(run, rows, rule, drawn) for run in runs),
        mini=any(run.result.mini for run in runs),
    )


def _detector_scores(run: Run, rows: Sequence[ResultRow], rule: str, slices: Sequence[SliceKey]) -> DetectorScores:
    declared = next((r.threshold for r in rows if r.model == run.label and r.threshold is not None), 0.5)
    result, name = run.result, f"auc.{rule}"
    aggregation = parse_metric(name).aggregation or "mean"
    scores = run.scores_table.filter(
        pc.is_in(run.scores_table["condition"], pa.array(sorted({p[2] for p in slices}), pa.string()))
    )
    samples = samples_by_slice(
        scores,
        name,
        threshold=declared,
        failure_policy=result.failure_policy,
        face_aggregation=result.faces,
        classes=result.classes,
        real_classes=result.real_classes,
    )
    videos = video_table(
        scores, aggregation, threshold=declared, failure_policy=result.failure_policy, face_aggregation=result.faces
    )
    threshold = 0.5 if aggregation == "vote" else declared  # a fraction of votes is compared with 0.5
    shown = {key: samples[key] for key in slices if key in samples}
    return DetectorScores(run.label, threshold, result.classes, result.failure_policy, shown, videos)
