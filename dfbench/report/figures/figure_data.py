"""What figures and the table of videos are made from: one level, a readable number of conditions, every detector."""

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
from dfbench.report.rows import Row

MOST_PLACES = 12
"""Data sets x subsets x conditions that get figures of their own; beyond it, untouched samples alone."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One detector's scores where figures look.

    Attributes:
        label: what the report calls it.
        threshold: from where on a sample or a video is called fake.
        classes: of a multi-class task.
        samples: what metrics rest on, by (data set, subset, condition).
        videos: table of :func:`dfbench.metrics.video_table`, of every data set under the conditions that are drawn.
    """

    label: str
    threshold: float
    classes: tuple[str, ...]
    samples: Mapping[SliceKey, MetricSamples]
    videos: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Shown:
    """What a report draws.

    Attributes:
        rule: level and aggregation, as in ``video.mean``.
        places: (data set, subset, condition), each with figures of its own.
        left_out: how many further ones are in the tables only.
        detectors: every run's scores there, in the order given.
        mini: whether any of it is invented faces.
    """

    rule: str
    places: tuple[SliceKey, ...]
    left_out: int
    detectors: tuple[Seen, ...]
    mini: bool

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that are drawn."""
        return tuple(dict.fromkeys(condition for _, _, condition in self.places))

    def title(self, place: SliceKey) -> str:
        """What is drawn, as in ``ff++/c23, JP60, video.mean``."""
        dataset, subset, condition = place
        where = f"{dataset}/{subset}" + ("" if condition == "clean" else f", {condition}")
        return f"{where}, {self.rule}"


def look_into(runs: Sequence[Run], rows: Sequence[Row]) -> Shown:
    """Choose what to draw and gather it.

    The level is video by mean where there is one, else the first of the rows; videos one by one are then judged by
    their mean.

    Args:
        runs: the runs.
        rows: their rows, of :func:`dfbench.report.rows.result_rows`.
    """
    levels = list(dict.fromkeys(row.level for row in rows))
    rule = "video.mean" if "video.mean" in levels else next(iter(levels), "frame")
    places = tuple(dict.fromkeys((r.dataset, r.subset, r.condition) for r in rows if not r.baseline))
    clean = tuple(place for place in places if place[2] == "clean")
    drawn = places if len(places) <= MOST_PLACES else (clean or places)[:MOST_PLACES]
    return Shown(
        rule=rule,
        places=drawn,
        left_out=len(places) - len(drawn),
        detectors=tuple(_see(run, rows, rule, drawn) for run in runs),
        mini=any(run.result.mini for run in runs),
    )


def _see(run: Run, rows: Sequence[Row], rule: str, places: Sequence[SliceKey]) -> Seen:
    declared = next((r.threshold for r in rows if r.model == run.label and r.threshold is not None), 0.5)
    result, name = run.result, f"auc.{rule}"
    aggregation = parse_metric(name).aggregation or "mean"
    scores = run.scores_table.filter(
        pc.is_in(run.scores_table["condition"], pa.array(sorted({p[2] for p in places}), pa.string()))
    )
    samples = samples_by_slice(
        scores,
        name,
        threshold=declared,
        failure_policy=result.failure_policy,
        face_aggregation=result.faces,
        classes=result.classes,
    )
    videos = video_table(
        scores, aggregation, threshold=declared, failure_policy=result.failure_policy, face_aggregation=result.faces
    )
    threshold = 0.5 if aggregation == "vote" else declared  # a share of votes is judged by half of them
    return Seen(run.label, threshold, result.classes, {p: samples[p] for p in places if p in samples}, videos)
