"""Counts of a manifest's rows by split, label and status, and examples of rows that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.manifest.table import ManifestTable
from dfbench.schema.manifest import STATUSES

Counts = dict[str, dict[str, dict[str, int]]]
RowKind = tuple[str, int, str]
"""Split, label and status of a row."""

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
    return counts_of(tally_rows(table))


def tally_rows(table: pa.Table) -> Counter[RowKind]:
    """Return the same numbers as a counter; those of several shards can be added.

    Args:
        table: with the columns split, label, status.
    """
    grouped = table.group_by(["split", "label", "status"]).aggregate([([], "count_all")])
    kinds = zip(*(grouped[c].to_pylist() for c in ("split", "label", "status")), strict=True)
    return Counter(dict(zip(kinds, grouped["count_all"].to_pylist(), strict=True)))


def counts_of(rows: Mapping[RowKind, int]) -> Counts:
    """Return the numbers of :func:`tally_rows` as ``manifest.json`` states them."""
    out: Counts = {}
    for (split, label, status), number in sorted(rows.items(), key=lambda item: tuple(map(str, item[0]))):
        out.setdefault(split, {}).setdefault("fake" if label else "real", {})[status] = number
    return out


def count_unusual(tables: Iterable[pa.Table]) -> dict[str, int]:
    """Count media whose frames are used as they are stored although that is unusual.

    Args:
        tables: with the columns media_id, width, height, pixel_aspect; no medium is in two of them.

    Returns:
        ``pixels_not_square`` and ``frame_sizes`` (frames of several sizes) -> number of media, without zeros.
    """
    found = Counter[str]()
    for table in tables:
        columns = [("width", "count_distinct"), ("height", "count_distinct"), ("pixel_aspect", "max")]
        media = table.group_by("media_id").aggregate(columns)
        several = pc.or_(pc.greater(media["width_count_distinct"], 1), pc.greater(media["height_count_distinct"], 1))
        found["frame_sizes"] += pc.sum(several).as_py() or 0
        found["pixels_not_square"] += pc.sum(pc.not_equal(media["pixel_aspect_max"], 1.0)).as_py() or 0
    return {name: number for name, number in sorted(found.items()) if number}


def statuses(table: pa.Table, examples: int = 3) -> tuple[StatusSummary, ...]:
    """Return every status that occurs, the most frequent first, with examples (sample id, reason) unless it is ok."""
    found = []
    for status in pc.unique(table["status"]).to_pylist():
        rows = table.filter(pc.equal(table["status"], status))
        first = rows.slice(0, 0 if status == "ok" else examples)
        pairs = tuple(zip(first["sample_id"].to_pylist(), first["reason"].to_pylist(), strict=True))
        found.append(StatusSummary(status, len(rows), pc.count_distinct(rows["media_id"]).as_py(), pairs))
    return tuple(sorted(found, key=lambda s: (-s.rows, s.status)))


def breakdown(manifest: ManifestTable) -> list[tuple[str | int, ...]]:
    """Return one line per split, subset, label and manipulation: clips, then rows by status, ordered as ``STATUSES``.

    Shards are read one after the other, and no medium is in two.
    """
    keys = ["split", "subset", "label", "manipulation"]
    clips: Counter[tuple[str, str, int, str]] = Counter()
    rows: Counter[tuple[tuple[str, str, int, str], str]] = Counter()
    for number in range(len(manifest.info.shards)):
        table = manifest.shard_table(number, [*keys, "media_id", "status"])
        media = table.group_by(keys).aggregate([("media_id", "count_distinct")])
        for *key, count in zip(*(media[c].to_pylist() for c in [*keys, "media_id_count_distinct"]), strict=True):
            clips[key[0], key[1], key[2], key[3]] += count
        by_status = table.group_by([*keys, "status"]).aggregate([([], "count_all")])
        for *key, status, count in zip(
            *(by_status[c].to_pylist() for c in [*keys, "status", "count_all"]), strict=True
        ):
            rows[(key[0], key[1], key[2], key[3]), status] += count
    return [
        (split, subset, "fake" if label else "real", manipulation, clips[key], *(rows[key, s] for s in STATUSES))
        for key in sorted(clips)
        for split, subset, label, manipulation in [key]
    ]
