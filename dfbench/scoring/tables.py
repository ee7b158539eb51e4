"""Scores as JSON, as CSV, and as a table for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from dfbench.io import write_json as write_json_file
from dfbench.io import write_text
from dfbench.report.table_notes import MINI_NOTE
from dfbench.schema.media import FAKE
from dfbench.scoring.results import CAUTION, FileScore, FrameScore, ScoreSummary, ScoringResult

FORMAT = 2
"""Version of the JSON file; format 1 of dfbench 0.1 had the fields faces, frame_face, passed_over and asked."""

CSV_COLUMNS = (
    "file",
    "label",
    "file_p_fake",
    "file_status",
    "file_decision",
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

HEAD: tuple[str, ...] = ("file", "P(fake)", "sd", "lowest", "highest", "frames", "faces", "status")


DOUBT_NOTE = "outputs of the detector look like probabilities, but are used as logits"
"""Mark of scores of a detector whose outputs look like probabilities."""


def mismatch_note(trained: str, profile: str, size: int) -> str:
    """Return the note on weights that were used with other crops than they were trained on.

    >>> mismatch_note("native 128 px", "box", 224)
    'crop mismatch: trained on native 128 px crops, scored on box 224 px'
    """
    return f"crop mismatch: trained on {trained} crops, scored on {profile} {size} px"


def marks(result: ScoringResult) -> list[str]:
    """Return the notes that must accompany the scores: mini weights, other crops, a degradation."""
    settings = result.settings
    found = [MINI_NOTE] if result.mini else []
    if result.crop_mismatch:
        found.append(mismatch_note(result.crop_mismatch, settings["profile"], settings["size"]))
    if settings["condition"] != "clean":
        found.append(f"condition: {settings['condition']}")
    if settings.get("doubt"):
        found.append(DOUBT_NOTE)
    return found


def to_json(result: ScoringResult) -> dict[str, Any]:
    """Return everything as plain values: settings, metrics, and every file, frame and face."""
    head = {"format": FORMAT, "caution": list(CAUTION), "marks": marks(result), "mini": result.mini}
    metrics = asdict(result.metrics) if result.metrics is not None else None
    body = {"crop_mismatch": result.crop_mismatch, **result.settings, "metrics": metrics}
    return head | body | {"files": [asdict(file) for file in result.files]}


def write_json(result: ScoringResult, path: Path) -> None:
    """Write :func:`to_json` atomically.

    Raises:
        SetupError: the file cannot be written.
    """
    write_json_file(path, to_json(result), indent=1, sync=False)


def write_csv(result: ScoringResult, path: Path) -> None:
    """Write a row per face and requested frame, atomically; see :data:`CSV_COLUMNS`.

    Raises:
        SetupError: the file cannot be written.
    """
    common = {"model": result.settings["model"], "note": "; ".join(marks(result))}
    stream = StringIO(newline="")
    table = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    for file in result.files:
        table.writerows(row | common for row in _csv_rows(file))
    write_text(path, stream.getvalue(), sync=False)


def _csv_rows(file: FileScore) -> Iterator[dict[str, Any]]:
    for frame in file.frames:
        start = {
            "file": file.file,
            "label": "" if file.label is None else "fake" if file.label == FAKE else "real",
            "file_p_fake": file.summary.p_fake,
            "file_status": file.status,
            "file_decision": file.decision,
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


def table_head(result: ScoringResult) -> tuple[str, ...]:
    """Return the names of the columns: :data:`HEAD`, and ``decision`` if the weights have a threshold."""
    return (*HEAD, "decision") if result.threshold.chosen else HEAD


def threshold_lines(result: ScoringResult) -> list[str]:
    """Return a sentence on the threshold of decisions and on the temperature, where the weights have them."""
    threshold = result.threshold.of_files(result.settings["aggregation"])
    lines = []
    if threshold.chosen:
        votes = ""
        if threshold.value != result.threshold.value:
            votes = f" of the votes of frames, each with a score of {result.threshold.value:g} or more"
        lines.append(
            f"decision: fake from {threshold.value:g}{votes} on; the threshold of the weights, {threshold.chosen}"
        )
    if result.settings["temperature"] != 1.0:
        lines.append(f"logits are divided by the temperature of the weights, {result.settings['temperature']:g}")
    return lines


def table_rows(result: ScoringResult) -> list[tuple[str, ...]]:
    """Return the rows under :func:`table_head`: one per file, followed by one per track if there are several."""
    chosen = bool(result.threshold.chosen)
    rows: list[tuple[str, ...]] = []
    for file in result.files:
        frames = f"{file.summary.frames}/{file.requested}"
        decision = (file.decision or "-",) if chosen else ()
        rows.append((file.file, *_numbers(file.summary), frames, str(len(file.tracks)), _status(file), *decision))
        if len(file.tracks) > 1:
            for track in file.tracks:
                frames = f"{track.summary.frames}/{file.requested}"
                rows.append(
                    (f"  face {track.track}", *_numbers(track.summary), frames, "", "", *([""] if chosen else []))
                )
    return rows


def _numbers(summary: ScoreSummary) -> tuple[str, ...]:
    values = (summary.p_fake, summary.sd, summary.lowest, summary.highest)
    return tuple("-" if value is None else f"{value:.3f}" for value in values)


def _status(file: FileScore) -> str:
    if file.status != "ok":
        return f"{file.status}: {file.reason}"
    lost = [f"{name} {count}" for name, count in file.counts.items() if name != "ok"]
    return "ok" + (f" ({', '.join(lost)})" if lost else "")
