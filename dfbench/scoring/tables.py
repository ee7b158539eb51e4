"""Scores as JSON, as CSV, and as the rows of a table for people."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfbench.io import atomic_path, write_text
from dfbench.report.table_notes import MINI_NOTE
from dfbench.scoring.disclaimer import CAUTION, mismatch_note
from dfbench.scoring.results import FileScore, FrameScore, Scores, Summary

FORMAT = 1

CSV_COLUMNS = (
    "file",
    "file_p_fake",
    "file_status",
    "frame",
    "time_s",
    "frame_p_fake",
    "face",
    "track",
    "p_fake",
    "status",
    "reason",
    "x1",
    "y1",
    "x2",
    "y2",
    "face_score",
    "model",
    "note",
)

HEAD = ("file", "P(fake)", "sd", "lowest", "highest", "frames", "faces", "status")


def marks(scores: Scores) -> list[str]:
    """What must stand beside the scores: invented faces, other crops, a degradation."""
    found = [MINI_NOTE] if scores.mini else []
    if scores.crop_mismatch:
        found.append(mismatch_note(scores.crop_mismatch, scores.how["profile"], scores.how["size"]))
    if scores.how["condition"] != "clean":
        found.append(f"condition: {scores.how['condition']}")
    return found


def to_json(scores: Scores) -> dict[str, Any]:
    """Everything, as plain values: how it was made, and every file, frame and face."""
    head = {"format": FORMAT, "caution": list(CAUTION), "marks": marks(scores), "mini": scores.mini}
    return head | {"crop_mismatch": scores.crop_mismatch} | scores.how | {"files": [asdict(f) for f in scores.files]}


def write_json(scores: Scores, path: Path) -> None:
    """Write :func:`to_json` whole or not at all.

    Raises:
        SetupError: the file can not be written.
    """
    write_text(path, json.dumps(to_json(scores), indent=1, allow_nan=False) + "\n")


def write_csv(scores: Scores, path: Path) -> None:
    """Write a row for every face of every frame that was asked for, whole or not at all; see :data:`CSV_COLUMNS`.

    Raises:
        SetupError: the file can not be written.
    """
    beside = {"model": scores.how["model"], "note": "; ".join(marks(scores))}
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
        table.writeheader()
        for file in scores.files:
            table.writerows(row | beside for row in _csv_rows(file))


def _csv_rows(file: FileScore) -> Iterator[dict[str, Any]]:
    for frame in file.frames:
        start = {
            "file": file.file,
            "file_p_fake": file.summary.p_fake,
            "file_status": file.status,
            "frame": frame.frame,
            "time_s": frame.time_s,
            "frame_p_fake": frame.p_fake,
        }
        yield from (start | row for row in _face_rows(frame))


def _face_rows(frame: FrameScore) -> Iterator[dict[str, Any]]:
    if not frame.faces:
        yield {"status": frame.status, "reason": frame.reason}
    for face in frame.faces:
        row = {name: getattr(face, name) for name in ("face", "track", "p_fake", "status", "reason", "face_score")}
        yield row | dict(zip(("x1", "y1", "x2", "y2"), face.box, strict=False))


def table_rows(scores: Scores) -> list[tuple[str, ...]]:
    """One row a file under :data:`HEAD`; where several faces were followed, one for each of them below it."""
    rows: list[tuple[str, ...]] = []
    for file in scores.files:
        frames = f"{file.summary.frames}/{file.asked}"
        rows.append((file.file, *_numbers(file.summary), frames, str(len(file.tracks)), _status(file)))
        if len(file.tracks) > 1:
            for track in file.tracks:
                seen = f"{track.summary.frames}/{file.asked}"
                rows.append((f"  face {track.track}", *_numbers(track.summary), seen, "", ""))
    return rows


def _numbers(summary: Summary) -> tuple[str, ...]:
    values = (summary.p_fake, summary.sd, summary.lowest, summary.highest)
    return tuple("-" if value is None else f"{value:.3f}" for value in values)


def _status(file: FileScore) -> str:
    if file.status != "ok":
        return f"{file.status}: {file.reason}"
    lost = [f"{name} {count}" for name, count in file.counts.items() if name != "ok"]
    return "ok" + (f" ({', '.join(lost)})" if lost else "")
