"""Counts of a manifest's rows by split, label and status, and examples of rows that failed."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.schema.manifest import STATUSES

Counts = dict[str, dict[str, dict[str, int]]]

# The columns that counts and examples need.
SUMMARY_COLUMNS = ("sample_id", "media_id", "split", "label", "subset", "manipulation", "status", "reason")


@dataclass(frozen=True)
class StatusSummary:
    """One status: its number of rows and of media, and the first few (sample id, reason)."""

    status: str
    rows: int
    media: int
    examples: tuple[tuple[str, str], ...]


def count_rows(table: pa.Table) -> Counts:
    """Return the number of rows by split, label (``real``, ``fake``) and status.

    Args:
        table: with the columns split, label, status.
    """
    grouped = table.group_by(["split", "label", "status"]).aggregate([([], "count_all")])
    keys = sorted(zip(*(grouped[c].to_pylist() for c in ("split", "label", "status", "count_all")), strict=True))
    out: Counts = {}
    for split, label, status, number in keys:
        out.setdefault(split, {}).setdefault("fake" if label else "real", {})[status] = number
    return out


def statuses(table: pa.Table, examples: int = 3) -> tuple[StatusSummary, ...]:
    """Return every status that occurs, the most frequent first, with examples (sample id, reason) unless it is ok."""
    found = []
    for status in pc.unique(table["status"]).to_pylist():
        rows = table.filter(pc.equal(table["status"], status))
        first = rows.slice(0, 0 if status == "ok" else examples)
        pairs = tuple(zip(first["sample_id"].to_pylist(), first["reason"].to_pylist(), strict=True))
        found.append(StatusSummary(status, len(rows), pc.count_distinct(rows["media_id"]).as_py(), pairs))
    return tuple(sorted(found, key=lambda s: (-s.rows, s.status)))


def breakdown(table: pa.Table) -> list[tuple[str | int, ...]]:
    """Return one line per split, subset, label and manipulation: clips, then rows by status, ordered as ``STATUSES``.

    Args:
        table: with the columns of :data:`SUMMARY_COLUMNS`.
    """
    keys = ["split", "subset", "label", "manipulation"]
    frame = table.select([*keys, "media_id", "status"]).to_pandas()
    lines: list[tuple[str | int, ...]] = []
    for (split, subset, label, manipulation), rows in frame.groupby(keys, sort=True):
        counts = rows["status"].value_counts()
        by_status = (int(counts.get(status, 0)) for status in STATUSES)
        lines.append(
            (split, subset, "fake" if label else "real", manipulation, int(rows["media_id"].nunique()), *by_status)
        )
    return lines
