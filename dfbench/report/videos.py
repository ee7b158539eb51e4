"""Every video of the runs, one line each: for the page's table, and whole as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dfbench.report.figures.figure_data import Shown
from dfbench.report.tables import DASH

MOST_LINES = 2000
"""Lines that the page's table holds; the CSV holds all."""

FIRST_LINES = 25
"""Lines that stand on the page at a time."""

NUMBERS = ("score", "off by", "frames")
_CSV_HEAD = (
    "model", "media_id", "dataset", "subset", "condition", "label", "manipulation", "score", "frames", "requested",
    "call",
)  # fmt: skip


@dataclass(frozen=True)
class Video:
    """One clip or image, judged by one detector.

    Attributes:
        model: what the report calls the detector.
        media_id: which clip or image.
        dataset: data set.
        subset: compression.
        condition: test condition.
        label: 0 real, 1 fake.
        manipulation: the forging method, or ``real``.
        score: P(fake); None where it has none.
        frames: scored frames.
        requested: frames that should have been.
        call: ``right``, ``wrong``, or ``no score``.
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
    call: str

    @property
    def off_by(self) -> float | None:
        """Distance of the score from the label."""
        return None if self.score is None else abs(self.score - self.label)

    def cells(self, dash: str = DASH) -> dict[str, str]:
        """What stands in each column of a table."""
        score, off_by = (dash if value is None else f"{value:.3f}" for value in (self.score, self.off_by))
        return {
            "model": self.model,
            "video": self.media_id,
            "condition": self.condition,
            "label": "fake" if self.label else "real",
            "manipulation": self.manipulation,
            "score": score,
            "off by": off_by,
            "frames": f"{self.frames}/{self.requested}",
            "call": self.call,
        }


def videos(shown: Shown) -> list[Video]:
    """All videos of what is shown, the worst errors first; those without a score stand last."""
    found = list(_videos(shown))
    return sorted(found, key=lambda v: -1.0 if v.off_by is None else v.off_by, reverse=True)


def _videos(shown: Shown) -> Iterator[Video]:
    for seen in shown.detectors:
        for row in seen.videos.to_dict("records"):
            score, label = float(row["score"]), int(row["label"])
            call = "right" if (score >= seen.threshold) == bool(label) else "wrong"
            yield Video(
                model=seen.label,
                media_id=str(row["media_id"]),
                dataset=str(row["dataset"]),
                subset=str(row["subset"]),
                condition=str(row["condition"]),
                label=label,
                manipulation=str(row["manipulation"]),
                score=None if math.isnan(score) else score,
                frames=int(row["frames"]),
                requested=int(row["requested"]),
                call="no score" if math.isnan(score) else call,
            )


def lines(found: Sequence[Video], dash: str = DASH) -> list[dict[str, str]]:
    """The first :data:`MOST_LINES`, without the condition where all are untouched."""
    clean = all(video.condition == "clean" for video in found)
    whole = (video.cells(dash) for video in found[:MOST_LINES])
    return [{head: cell for head, cell in line.items() if not (clean and head == "condition")} for line in whole]


def videos_csv(found: Sequence[Video]) -> str:
    """All of them as CSV, scores in full precision, sorted by detector, condition and media id."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for v in sorted(found, key=lambda v: (v.model, v.condition, v.media_id)):
        score = "" if v.score is None else repr(v.score)
        writer.writerow(
            [v.model, v.media_id, v.dataset, v.subset, v.condition, v.label, v.manipulation, score, v.frames,
             v.requested, v.call]
        )  # fmt: skip
    return stream.getvalue()
