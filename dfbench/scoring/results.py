"""The results of ``score``: scores of faces, frames, tracks and files, and how they are aggregated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfbench.manifest.stored_geometry import face_of
from dfbench.metrics.aggregation import aggregate
from dfbench.metrics.samples import one_face
from dfbench.preparation.extraction.face_tracks import build_tracks
from dfbench.preparation.extraction.rows import Row
from dfbench.scoring.labels import UNCALIBRATED, LabelledMetrics, ScoreThreshold

CAUTION = (
    "A score is the output of one detector trained on particular data. It is not the probability that a file is "
    "forged, and it is not evidence.",
    "On sources, forgeries and re-encodings that differ from the training data it can be confidently wrong. For files "
    "of unknown origin, no threshold is calibrated.",
)
"""What a score is not; printed with every table of scores and written to every JSON file."""

CAUTION_SHORT = "output of one detector: not a probability of forgery, not evidence"
"""The same for timelines and overlays."""


@dataclass(frozen=True)
class FaceScore:
    """A face in a frame.

    Attributes:
        face: its number in the frame; 0 is the largest.
        track: number of the track it belongs to, from 1; None if it could not be aligned.
        status: ``ok``, or ``no_face`` if it could not be aligned.
        reason: why it could not be aligned.
        p_fake: the score, in [0,1].
        logits: the logits behind the score.
        box: x1, y1, x2, y2 in pixels of the frame.
        landmarks: x and y of eyes, nose and mouth corners in pixels of the frame, 10 values.
        face_score: confidence of the face detector.
    """

    face: int
    track: int | None
    status: str
    reason: str
    p_fake: float | None
    logits: tuple[float, ...]
    box: tuple[float, ...]
    landmarks: tuple[float, ...]
    face_score: float | None


@dataclass(frozen=True)
class FrameScore:
    """A requested frame.

    Attributes:
        frame: its index from 0; negative if no frame of the file can be decoded.
        time_s: presentation time in seconds, if known.
        status: ``ok`` if it has a score, else ``no_face``, ``decode_error`` or ``missing_media``.
        reason: why it has no score.
        p_fake: its score, aggregated over its faces.
        faces_found: number of faces that the face detector found.
        faces: the faces selected by the face rule.
    """

    frame: int
    time_s: float | None
    status: str
    reason: str
    p_fake: float | None
    faces_found: int
    faces: tuple[FaceScore, ...]


@dataclass(frozen=True)
class ScoreSummary:
    """Several scores summarised.

    Attributes:
        frames: number of scores.
        p_fake: the aggregated score, in [0,1]; None without a score.
        sd: sample standard deviation of the scores; None with fewer than two.
        lowest: the lowest score.
        highest: the highest score.
    """

    frames: int
    p_fake: float | None = None
    sd: float | None = None
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class TrackScore:
    """A face tracked through the frames.

    Attributes:
        track: its number; 1 has the largest total area.
        summary: summary of its scores.
    """

    track: int
    summary: ScoreSummary


@dataclass(frozen=True)
class FileScore:
    """A file.

    Attributes:
        file: its path as given.
        status: ``ok`` if a frame was scored, else the most frequent status of its frames; ``unfinished`` if its worker
            process was killed from outside or ran out of memory, also when it was tried again.
        reason: why nothing could be scored.
        summary: summary of the scores of its frames.
        requested: number of requested frames.
        counts: status -> number of frames.
        faces_found: number of faces found in all frames together.
        width: in pixels, if known.
        height: in pixels, if known.
        frame_count: number of frames of the file, if known.
        tracks: the tracked faces.
        frames: every requested frame.
        label: 0 real, 1 fake; None: unlabelled.
        decision: ``fake`` or ``real``, by a threshold that was chosen on validation data; None without a score, or
            without such a threshold.
    """

    file: str
    status: str
    reason: str
    summary: ScoreSummary
    requested: int
    counts: dict[str, int]
    faces_found: int
    width: int | None
    height: int | None
    frame_count: int | None
    tracks: tuple[TrackScore, ...]
    frames: tuple[FrameScore, ...]
    label: int | None = None
    decision: str | None = None

    @property
    def p_fake(self) -> float | None:
        """The score of the file, in [0,1]; None without a score."""
        return self.summary.p_fake


@dataclass(frozen=True)
class ScoringResult:
    """The scores of several files.

    Attributes:
        settings: detector, weights and their card, crops, rules and versions, as plain values.
        mini: whether the weights were trained on the synthetic faces of mini.
        crop_mismatch: the crops that the weights were trained on, if other crops were scored; else empty.
        files: one entry per file, in the order given.
        metrics: AUC and ACC of labelled files; None without labels.
        written: the files written.
        threshold: from which score on a frame counts as fake.
    """

    settings: dict[str, Any]
    mini: bool
    crop_mismatch: str
    files: tuple[FileScore, ...]
    metrics: LabelledMetrics | None = None
    written: tuple[Path, ...] = ()
    threshold: ScoreThreshold = UNCALIBRATED

    @property
    def scored(self) -> int:
        """Number of files with a score."""
        return sum(file.status == "ok" for file in self.files)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with a row per file: path, P(fake), its spread, counts, status, label and decision."""
        rows = [
            {
                "file": file.file,
                **{name: getattr(file.summary, name) for name in ("p_fake", "sd", "lowest", "highest", "frames")},
                "requested": file.requested,
                "faces": len(file.tracks),
                "status": file.status,
                "reason": file.reason,
                "label": file.label,
                "decision": file.decision,
            }
            for file in self.files
        ]
        return pd.DataFrame(rows).astype({"label": "Int8"})

    def __repr__(self) -> str:
        return f"ScoringResult({self.settings['model']}, {self.scored} of {len(self.files)} files scored)"


@dataclass(frozen=True)
class AggregationRules:
    """How several scores become one.

    Attributes:
        face_aggregation: the faces of a frame: ``largest``, ``max`` or ``mean``.
        aggregation: the frames of a clip; see :func:`dfbench.metrics.aggregation.aggregate`.
        threshold: of the scores of frames.
    """

    face_aggregation: str = "largest"
    aggregation: str = "mean"
    threshold: ScoreThreshold = UNCALIBRATED


def file_score(
    file: str,
    rows: Sequence[Row],
    p_fake: NDArray[np.float64],
    logits: NDArray[np.float32],
    rules: AggregationRules,
    label: int | None = None,
) -> FileScore:
    """Assemble the scores of a file.

    Args:
        file: its path, for display.
        rows: its manifest rows, sorted by frame and face.
        p_fake: (N,) scores of the rows with status ok, in their order.
        logits: (N, C) logits of the same rows.
        rules: how scores are aggregated.
        label: 0 real, 1 fake; None: unlabelled.
    """
    scores = iter(zip(p_fake.tolist(), logits.tolist(), strict=True))
    scored = [row | dict(zip(("p_fake", "logits"), next(scores), strict=True)) if _ok(row) else row for row in rows]
    numbers = _track_numbers(scored)
    values = _frame_values(scored, rules.face_aggregation)
    frames = tuple(
        _frame(list(of_frame), numbers, values.get(index))
        for index, of_frame in groupby(scored, key=lambda row: int(row["frame_index"]))
    )
    summary = summarise([frame.p_fake for frame in frames if frame.p_fake is not None], rules)
    counts = Counter(frame.status for frame in frames)
    status = "ok" if counts["ok"] else counts.most_common(1)[0][0]
    first = rows[0]
    return FileScore(
        file=file,
        status=status,
        reason="" if counts["ok"] else next(frame.reason for frame in frames if frame.status == status),
        summary=summary,
        requested=len(frames),
        counts=dict(counts),
        faces_found=sum(frame.faces_found for frame in frames),
        width=first.get("width"),
        height=first.get("height"),
        frame_count=first.get("frame_count"),
        tracks=tuple(_tracks(frames, rules)),
        frames=frames,
        label=label,
        decision=_decision(summary, rules),
    )


def _decision(summary: ScoreSummary, rules: AggregationRules) -> str | None:
    threshold = rules.threshold.of_files(rules.aggregation)
    if summary.p_fake is None or not threshold.chosen:
        return None
    return "fake" if summary.p_fake >= threshold.value else "real"


def summarise(scores: Sequence[float], rules: AggregationRules) -> ScoreSummary:
    """Aggregate scores by the rule that evaluations use for the frames of a video.

    >>> summarise([0.5, 1.0], AggregationRules()).p_fake
    0.75
    """
    if not scores:
        return ScoreSummary(0)
    (value,) = aggregate(
        ["file"] * len(scores), [0] * len(scores), scores, rules.aggregation, rules.threshold.value
    ).scores
    sd = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return ScoreSummary(len(scores), float(value), sd, min(scores), max(scores))


def _ok(row: Row) -> bool:
    return bool(row["status"] == "ok")


def _track_numbers(rows: Sequence[Row]) -> dict[tuple[int, int], int]:
    """Return (frame, face number) -> track number, sorted by decreasing total area."""
    by_frame: dict[int, list[Row]] = {}
    for row in rows:
        if _ok(row):
            by_frame.setdefault(int(row["frame_index"]), []).append(row)
    tracks = build_tracks(
        {index: [face_of(row) for row in found] for index, found in by_frame.items()},
        {index: (int(found[0]["width"]), int(found[0]["height"])) for index, found in by_frame.items()},
    )
    return {
        (index, int(by_frame[index][member]["face_index"])): number
        for number, track in enumerate(sorted(tracks, key=lambda track: -track.area), 1)
        for index, member in track.members.items()
    }


def _frame_values(rows: Sequence[Row], rule: str) -> dict[int, float]:
    table = pd.DataFrame(
        {
            "sample_id": [row["sample_id"] for row in rows],
            "frame": [int(row["frame_index"]) for row in rows],
            "status": [row["status"] for row in rows],
            "score": np.array([row.get("p_fake", np.nan) for row in rows], np.float64),
        }
    )
    kept = one_face(table, rule)
    kept = kept[kept["status"] == "ok"]
    return dict(zip(kept["frame"].tolist(), kept["score"].tolist(), strict=True))


def _frame(rows: Sequence[Row], numbers: dict[tuple[int, int], int], value: float | None) -> FrameScore:
    first = rows[0]
    index = int(first["frame_index"])
    found = int(first.get("face_count") or 0)
    return FrameScore(
        frame=index,
        time_s=first.get("time_s"),
        status="ok" if value is not None else first["status"],
        reason="" if value is not None else first["reason"],
        p_fake=value,
        faces_found=found,
        faces=tuple(_face(row, numbers.get((index, int(row["face_index"])))) for row in rows) if found else (),
    )


def _face(row: Row, track: int | None) -> FaceScore:
    ok = _ok(row)
    return FaceScore(
        face=int(row["face_index"]),
        track=track,
        status=row["status"],
        reason=row["reason"],
        p_fake=row["p_fake"] if ok else None,
        logits=tuple(row["logits"]) if ok else (),
        box=_pixels(row["box"]) if ok else (),
        landmarks=_pixels(row["landmarks"]) if ok else (),
        face_score=float(row["face_score"]) if ok else None,
    )


def _pixels(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in values)


def _tracks(frames: Sequence[FrameScore], rules: AggregationRules) -> Iterator[TrackScore]:
    of_track: dict[int, list[float]] = {}
    for frame in frames:
        for face in frame.faces:
            if face.track is not None and face.p_fake is not None:
                of_track.setdefault(face.track, []).append(face.p_fake)
    for number in sorted(of_track):
        yield TrackScore(number, summarise(of_track[number], rules))
