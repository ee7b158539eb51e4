"""Results per video: for the table of the page, and all of them as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dfbench.report.figures.figure_data import FigureData
from dfbench.report.formats import csv_text
from dfbench.report.tables import DASH

MAX_PAGE_VIDEOS = 2000
"""Number of videos in the table of the page; the CSV has all."""

VIDEOS_PER_PAGE = 25
"""Number of videos that the table shows at a time."""

NUMBERS = ("score", "error", "frames")
_CSV_HEAD = (
    "model", "media_id", "dataset", "subset", "condition", "label", "manipulation", "score", "frames", "requested",
    "outcome",
)  # fmt: skip


@dataclass(frozen=True)
class VideoResult:
    """The result of one detector on one clip or image.

    Attributes:
        model: label of the run.
        media_id: id of the clip or image.
        dataset: data set.
        subset: compression.
        condition: test condition.
        label: 0 real, 1 fake.
        manipulation: the forging method, or ``real``.
        score: P(fake); None if it has no score.
        frames: number of scored frames.
        requested: number of requested frames.
        outcome: ``correct``, ``wrong``, or ``no score``, which with ``as-chance`` counts as half right.
    """

    model: str
    media_id: str
    dataset: str
    subset: str
    condition: str
    label: int
    manipulation: str
    score: float | None
    frames: int
    requested: int
    outcome: str

    @property
    def error(self) -> float | None:
        """Distance of the score from the label."""
        return None if self.score is None else abs(self.score - self.label)

    def cells(self, dash: str = DASH) -> dict[str, str]:
        """The cells of a table, by column."""
        score, error = (dash if value is None else f"{value:.3f}" for value in (self.score, self.error))
        return {
            "model": self.model,
            "video": self.media_id,
            "condition": self.condition,
            "label": "fake" if self.label else "real",
            "manipulation": self.manipulation,
            "score": score,
            "error": error,
            "frames": f"{self.frames}/{self.requested}",
            "outcome": self.outcome,
        }


def videos(data: FigureData) -> list[VideoResult]:
    """Return all videos, the largest errors first and those without a score last."""
    found = list(_videos(data))
    return sorted(found, key=lambda v: -1.0 if v.error is None else v.error, reverse=True)


def _videos(data: FigureData) -> Iterator[VideoResult]:
    for detector in data.detectors:
        for row in detector.videos.to_dict("records"):
            score, label = float(row["score"]), int(row["label"])
            outcome = "correct" if (score >= detector.threshold) == bool(label) else "wrong"
            if math.isnan(score) or (detector.failure_policy == "as-chance" and not row["frames"]):
                outcome = "no score"
            yield VideoResult(
                model=detector.label,
                media_id=str(row["media_id"]),
                dataset=str(row["dataset"]),
                subset=str(row["subset"]),
                condition=str(row["condition"]),
                label=label,
                manipulation=str(row["manipulation"]),
                score=None if math.isnan(score) else score,
                frames=int(row["frames"]),
                requested=int(row["requested"]),
                outcome=outcome,
            )


def video_rows(found: Sequence[VideoResult], dash: str = DASH) -> list[dict[str, str]]:
    """Return the cells of the first :data:`MAX_PAGE_VIDEOS`, without the condition if all are ``clean``."""
    clean = all(video.condition == "clean" for video in found)
    whole = (video.cells(dash) for video in found[:MAX_PAGE_VIDEOS])
    return [{head: cell for head, cell in line.items() if not (clean and head == "condition")} for line in whole]


def videos_csv(found: Sequence[VideoResult]) -> str:
    """Write all videos as CSV, scores in full precision, sorted by detector, condition and media id."""
    ordered = sorted(found, key=lambda v: (v.model, v.condition, v.media_id))
    return csv_text(_CSV_HEAD, [[getattr(v, name) for name in _CSV_HEAD] for v in ordered])
