"""What ``score`` finds out about a file: of every face, every frame, every followed face, and in sum."""

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


@dataclass(frozen=True)
class FaceScore:
    """One face in one frame.

    Attributes:
        face: its number in the frame; 0 is the largest.
        track: number of the followed face that it belongs to, from 1; None where it could not be aligned.
        status: ``ok``, or ``no_face`` where it could not be aligned.
        reason: why not.
        p_fake: the score, in [0,1].
        logits: what it was made of.
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
    """One frame that was asked for.

    Attributes:
        frame: its number from 0; negative in a file of which no frame can be had.
        time_s: when it is shown, in seconds, where the file says it.
        status: ``ok`` where it has a score, else ``no_face``, ``decode_error`` or ``missing_media``.
        reason: why it has none.
        p_fake: its score, by the rule for several faces.
        faces_found: how many faces the face detector found.
        faces: those that were looked at.
    """

    frame: int
    time_s: float | None
    status: str
    reason: str
    p_fake: float | None
    faces_found: int
    faces: tuple[FaceScore, ...]


@dataclass(frozen=True)
class Summary:
    """Several scores as one.

    Attributes:
        frames: how many scores.
        p_fake: the aggregated score, in [0,1]; None without a score.
        sd: standard deviation of the scores (of a sample); None below two.
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
    """One face, followed through the frames.

    Attributes:
        track: its number; 1 has the largest area in sum.
        summary: of its scores.
    """

    track: int
    summary: Summary


@dataclass(frozen=True)
class FileScore:
    """One file.

    Attributes:
        file: as it was named.
        status: ``ok`` where a frame was scored, else what most of its frames failed by.
        reason: why nothing could be scored.
        summary: of the scores of its frames.
        asked: frames that were asked for.
        counts: status -> number of frames.
        faces_found: faces found in all frames together.
        width: in pixels, where known.
        height: in pixels, where known.
        frame_count: frames that the file has, where known.
        tracks: the followed faces.
        frames: every frame that was asked for.
    """

    file: str
    status: str
    reason: str
    summary: Summary
    asked: int
    counts: dict[str, int]
    faces_found: int
    width: int | None
    height: int | None
    frame_count: int | None
    tracks: tuple[TrackScore, ...]
    frames: tuple[FrameScore, ...]


@dataclass(frozen=True)
class Scores:
    """The scores of some files.

    Attributes:
        how: what they were made with: detector, weights and their card, crops, rules, versions; plain values.
        mini: whether the weights were trained on invented faces.
        crop_mismatch: the crops that the weights were trained on, where they saw others; else empty.
        files: one a file, in the order in which they were named.
        written: what was written.
    """

    how: dict[str, Any]
    mini: bool
    crop_mismatch: str
    files: tuple[FileScore, ...]
    written: tuple[Path, ...] = ()

    @property
    def scored(self) -> int:
        """How many files have a score."""
        return sum(file.status == "ok" for file in self.files)


@dataclass(frozen=True)
class Joining:
    """How scores become one.

    Attributes:
        frame_face: several faces of a frame: ``largest``, ``max`` or ``mean``.
        aggregation: the frames of a clip; see :func:`dfbench.metrics.aggregation.aggregate`.
    """

    frame_face: str = "largest"
    aggregation: str = "mean"


def outcome_of(
    file: str, rows: Sequence[Row], p_fake: NDArray[np.float64], logits: NDArray[np.float32], joining: Joining
) -> FileScore:
    """Put the scores of one file together.

    Args:
        file: how it is called.
        rows: its manifest rows, by rising frame and face.
        p_fake: (N,) of those with status ok, in their order.
        logits: (N, C) of the same.
        joining: how scores become one.
    """
    scores = iter(zip(p_fake.tolist(), logits.tolist(), strict=True))
    scored = [row | dict(zip(("p_fake", "logits"), next(scores), strict=True)) if _ok(row) else row for row in rows]
    numbers = _track_numbers(scored)
    values = _frame_values(scored, joining.frame_face)
    frames = tuple(
        _frame(list(of_frame), numbers, values.get(index))
        for index, of_frame in groupby(scored, key=lambda row: int(row["frame_index"]))
    )
    summary = summarise([frame.p_fake for frame in frames if frame.p_fake is not None], joining.aggregation)
    counts = Counter(frame.status for frame in frames)
    status = "ok" if counts["ok"] else counts.most_common(1)[0][0]
    first = rows[0]
    return FileScore(
        file=file,
        status=status,
        reason="" if counts["ok"] else next(frame.reason for frame in frames if frame.status == status),
        summary=summary,
        asked=len(frames),
        counts=dict(counts),
        faces_found=sum(frame.faces_found for frame in frames),
        width=first.get("width"),
        height=first.get("height"),
        frame_count=first.get("frame_count"),
        tracks=tuple(_tracks(frames, joining.aggregation)),
        frames=frames,
    )


def summarise(scores: Sequence[float], aggregation: str) -> Summary:
    """Several scores as one, by the rule that makes a video's score of its frames' in an evaluation.

    >>> summarise([0.5, 1.0], "mean").p_fake
    0.75
    """
    if not scores:
        return Summary(0)
    (value,) = aggregate(["file"] * len(scores), [0] * len(scores), scores, aggregation).scores
    sd = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return Summary(len(scores), float(value), sd, min(scores), max(scores))


def _ok(row: Row) -> bool:
    return bool(row["status"] == "ok")


def _track_numbers(rows: Sequence[Row]) -> dict[tuple[int, int], int]:
    """Frame and face number -> number of the track, the largest in sum first; ready-made crops have no place."""
    placed: dict[int, list[Row]] = {}
    for row in rows:
        if _ok(row):
            placed.setdefault(int(row["frame_index"]), []).append(row)
    tracks = build_tracks({index: [face_of(row) for row in found] for index, found in placed.items()})
    return {
        (index, int(placed[index][place]["face_index"])): number
        for number, track in enumerate(sorted(tracks, key=lambda track: -track.area), 1)
        for index, place in track.members.items()
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


def _tracks(frames: Sequence[FrameScore], aggregation: str) -> Iterator[TrackScore]:
    of_track: dict[int, list[float]] = {}
    for frame in frames:
        for face in frame.faces:
            if face.track is not None and face.p_fake is not None:
                of_track.setdefault(face.track, []).append(face.p_fake)
    for number in sorted(of_track):
        yield TrackScore(number, summarise(of_track[number], aggregation))
