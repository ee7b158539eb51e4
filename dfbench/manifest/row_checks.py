"""What the rows of a shard must satisfy before anything uses them, whoever wrote the file.

The checks are vectorised and need only the columns at hand, so that every read of a shard applies those that concern
it. ``verify`` reports all of them; readers raise the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dfbench.errors import DataError
from dfbench.schema.manifest import MANIFEST, STATUSES
from dfbench.schema.media import FAKE, REAL, SPLITS, split_archive_path
from dfbench.text import one_line
from dfbench.untrusted import is_relative

_LONGEST_SIDE = 2**20  # pixels of a source
_MOST_FRAMES = 2**24  # of a clip: six days at 30 frames per second
_RANGES = {
    "width": (1, _LONGEST_SIDE),
    "height": (1, _LONGEST_SIDE),
    "frame_count": (0, _MOST_FRAMES),
    "media_size": (0, 2**62),
    "jpeg_quality": (1, 100),
    "clip_index": (0, _MOST_FRAMES),
}
_WORDS = {"status": STATUSES, "split": SPLITS, "label": (REAL, FAKE)}
_FINITE = (
    *("box", "landmarks", "matrix", "dense", "scale", "face_score", "time_s"),
    *("fps", "pixel_aspect", "base_shift"),
)
_TYPES = {column.name: column for column in MANIFEST.columns}


def check_rows(table: pa.Table | pa.RecordBatch, path: Path) -> None:
    """Raise for the first problem of rows that were read from a shard.

    Args:
        table: any columns of a shard.
        path: the shard, for the message.

    Raises:
        DataError: a column has another type, a value is missing or out of range, or a path is not relative.
    """
    for _, message in row_problems(table):
        raise DataError(f"{path}: {message}", f"the shard is damaged; see: dfbench verify {path.parent}")


def row_problems(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Yield the problems of rows as (kind, message); the kinds are those of :class:`dfbench.manifest.verify.Problem`.

    Args:
        table: any columns of a shard.
    """
    for name in table.schema.names:
        values = table.column(table.schema.get_field_index(name))
        known = _TYPES.get(name)
        if known is not None and values.type != known.type:
            yield "schema", f"column {name!r} is {one_line(values.type)[:80]}, expected {known.type}"
            continue
        if known is not None and not known.nullable and values.null_count:
            yield "schema", f"column {name!r} has null values"
        if known is not None and known.length is not None:
            lengths = set(pc.unique(pc.list_value_length(values)).to_pylist())
            if other := sorted(lengths - {known.length, None}):
                yield "schema", f"column {name!r} holds lists of {other[0]} values, expected {known.length}"
        yield from _value_problems(name, values)


def _value_problems(name: str, values: pa.ChunkedArray | pa.Array) -> Iterator[tuple[str, str]]:
    if name in _WORDS:
        other = set(pc.unique(values).to_pylist()) - {*_WORDS[name], None}
        if other:
            shown = ", ".join(sorted(one_line(value)[:40] for value in other)[:3])
            yield "status" if name == "status" else "value", f"unknown values of {name!r}: {shown}"
    if name in _RANGES:
        low, high = _RANGES[name]
        if pc.any(pc.or_(pc.less(values, low), pc.greater(values, high))).as_py():
            yield "value", f"column {name!r} has values outside {low} to {high}"
    if name in _FINITE:
        numbers = pc.list_flatten(values) if pa.types.is_list(values.type) else values
        if pa.types.is_floating(numbers.type) and pc.any(pc.invert(pc.is_finite(numbers))).as_py():
            yield "value", f"column {name!r} has values that are not finite"
    if name in ("media_path", "media_mask_path"):
        for path in pc.unique(values).to_pylist():
            if path is not None and not is_media_path(path):
                yield "path", f"the path {one_line(path)[:200]!r} leads out of the data set's folder"
                return


def alignment_problems(table: pa.Table) -> Iterator[str]:
    """Yield what contradicts one matrix for all frames of a run of frames.

    Args:
        table: rows of a shard, with the columns media_id, face_index, clip_index, status and matrix.
    """
    found = table.filter(pc.equal(table["status"], "ok"))
    if found["clip_index"].null_count:
        yield "crops of runs of frames have no clip_index"
        return
    matrices: dict[tuple[object, ...], object] = {}
    names = ("media_id", "face_index", "clip_index", "matrix")
    for media_id, face, run, matrix in zip(*(found[name].to_pylist() for name in names), strict=True):
        if matrices.setdefault((media_id, face, run), matrix) != matrix:
            yield f"frames of run {run} of {one_line(media_id)[:200]} have different matrices"
            return


def is_media_path(path: str) -> bool:
    """Whether a media path stays below the root, in the file system and inside an archive.

    >>> is_media_path("real/0.tar.gz!/12/54"), is_media_path("real/0.tar.gz!/../54"), is_media_path("../0.mp4")
    (True, False, False)
    """
    inside = split_archive_path(path)
    if inside is None:
        return is_relative(path)
    return is_relative(inside[0]) and (not inside[1] or is_relative(inside[1]))
