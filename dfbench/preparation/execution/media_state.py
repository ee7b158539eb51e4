"""``media-state.parquet`` beside the shards: size and modification time of every medium when its rows were made.

It is how a later run notices that a file was repaired, truncated or replaced under the same name. Mask videos that are
used are recorded as well. It is no part of the shards, whose bytes depend on the content of the media alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.io import canonical_hash, write_table
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.media import Media, split_archive_path
from dfbench.storage.path import parquet_source
from dfbench.untrusted import leads_outside

_SCHEMA = pa.schema(
    [
        ("media_id", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("mask_size", pa.int64()),
        ("mask_mtime_ns", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells that a medium is another one than before.

    Attributes:
        size: bytes; of a folder of images their sum; -1 if there is nothing.
        mtime_ns: time of the last modification in nanoseconds; of a folder the latest of its images and its own.
        mask_size: bytes of the mask video; None where none is used, or the record does not say.
        mask_mtime_ns: its time of the last modification in nanoseconds; None as ``mask_size``.
    """

    size: int
    mtime_ns: int
    mask_size: int | None = None
    mask_mtime_ns: int | None = None


ABSENT = FileState(-1, -1)


def state_name(slug: str = "") -> str:
    """Return the file's name; every array-job part has its own.

    >>> state_name(), state_name("1-of-4")
    ('media-state.parquet', 'media-state-1-of-4.parquet')
    """
    return f"media-state-{slug}.parquet" if slug else "media-state.parquet"


def current_states(shards: Iterable[Shard], root: Path) -> dict[str, FileState]:
    """Return media id -> state on disk now, of all media of some shards; an archive is looked at once."""
    known: dict[Path, FileState] = {}
    out = {}
    for shard in shards:
        for media in shard.media:
            path = _file(media, root)
            if path not in known:
                known[path] = _state(path)
            state = known[path]
            if media.mask_path is not None:
                mask = _state(root / media.mask_path)
                state = replace(state, mask_size=mask.size, mask_mtime_ns=mask.mtime_ns)
            out[media.media_id] = state
    return out


def read_states(path: Path) -> dict[str, FileState]:
    """Return media id -> state as recorded; empty if there is no record, or none that can be read."""
    if not path.is_file() or leads_outside(path):
        return {}
    try:
        table = pq.ParquetFile(parquet_source(path)).read()
        for field in _SCHEMA:
            if field.name not in table.column_names and field.name.startswith("mask_"):  # before masks were recorded
                table = table.append_column(field, pa.nulls(len(table), field.type))
        table = table.select(_SCHEMA.names).cast(_SCHEMA)
    except (OSError, pa.ArrowException, ValueError, LookupError):
        return {}
    columns = (table[name].to_pylist() for name in _SCHEMA.names)
    return {name: FileState(*state) for name, *state in zip(*columns, strict=True)}


def write_states(path: Path, states: Mapping[str, FileState]) -> None:
    """Replace the record.

    Raises:
        SetupError: it cannot be written.
    """
    names = sorted(states)
    columns = {column: [getattr(states[name], column) for name in names] for column in _SCHEMA.names[1:]}
    write_table(path, pa.table({"media_id": names} | columns, schema=_SCHEMA))


def differ(recorded: FileState | None, now: FileState, times: bool = True) -> bool:
    """Whether a medium changed since it was recorded; one without a record did not.

    Args:
        recorded: its state then; None if there is no record.
        now: its state now.
        times: whether times count. Those of a generated data set do not: its content follows from its settings.
    """
    if recorded is None:
        return False
    changed = recorded.size != now.size or (times and recorded.mtime_ns != now.mtime_ns)
    if None in (recorded.mask_size, now.mask_size):
        return changed
    return changed or recorded.mask_size != now.mask_size or (times and recorded.mask_mtime_ns != now.mask_mtime_ns)


def content_key(shard: Shard, states: Mapping[str, FileState]) -> str:
    """Return a digest of what a shard must hold and of the files that it is made from."""
    files = [astuple(states[m.media_id]) for m in shard.media if m.media_id in states]
    return canonical_hash([shard.hash, files])[:32]


def _file(media: Media, root: Path) -> Path:
    inside = split_archive_path(media.path) if media.kind == "sequence" else None
    return root / (media.path if inside is None else inside[0])


def _state(path: Path) -> FileState:
    try:
        own = path.stat()
        if not path.is_dir():
            return FileState(own.st_size, own.st_mtime_ns)
        with os.scandir(path) as entries:
            inside = [entry.stat() for entry in entries if entry.is_file()]
    except (OSError, ValueError):
        return ABSENT
    return FileState(sum(f.st_size for f in inside), max([own.st_mtime_ns, *(f.st_mtime_ns for f in inside)]))
