"""``upgrade``: convert a manifest of an older format, without the videos. Rows, pixels and hashes of crops stay."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, DfbenchError, SetupError, UsageError
from dfbench.io import check_output_folder, file_sha256
from dfbench.manifest.info import MANIFEST_FILE, content_hash, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, read_stamp, shard_batches
from dfbench.preparation.derived.derive import ShardCopy, make_shards
from dfbench.preparation.execution.commit import STAGED, commit, complete_commit
from dfbench.preparation.execution.engine import worker_count
from dfbench.preparation.execution.media_state import read_states, state_name, write_states
from dfbench.preparation.execution.output_folder import check_folder, clear_temporary, locked
from dfbench.preparation.extraction.rows import Row
from dfbench.progress import progress
from dfbench.schema.ids import parse_media_id
from dfbench.schema.manifest import MANIFEST_VERSION, ManifestInfo, ShardInfo, row_schema
from dfbench.schema.media import FAKE
from dfbench.text import path_text

BATCH = 32
"""Rows in memory at a time: a patch of a large face is some megabytes."""

_ON_ONNXRUNTIME = ("centerface", "centerface-full", "insightface")


@dataclass(frozen=True)
class RowUpgrader:
    """Make the rows of a shard from one of an older format.

    Attributes:
        dataset: command-line name of the data set.
        columns: names of the columns of the older format, crops included.
    """

    dataset: str
    columns: tuple[str, ...]

    def __call__(self, shard: Path) -> Iterator[Row]:
        """The rows in their order, with the columns that follow from names."""
        source_of = _source_rule(self.dataset)
        for batch in shard_batches(shard, self.columns, BATCH):
            for row in batch.to_pylist():
                name = parse_media_id(row["media_id"]).name
                yield row | {"source_media_id": source_of(row["subset"], name) if row["label"] == FAKE else None}


def _source_rule(dataset: str) -> Callable[[str, str], str | None]:
    # Adapters of plug-ins need not have a rule, or not be installed.
    with suppress(DfbenchError):
        found: Callable[[str, str], str | None] | None = getattr(get_adapter(dataset), "source_of", None)
        if found is not None:
            return found
    return lambda subset, name: None


def upgrade(
    manifest: str | Path, out: str | Path | None = None, *, workers: int | None = None, quiet: bool = False
) -> Manifest:
    """Convert a manifest to the current format. The videos are not needed.

    Rows, crops and their hashes stay as they are. ``source_media_id`` is filled in where the names of the data set give
    it, ``face_detector_runtime`` from the recorded versions; what only the media tell (size, SHA-256, codec, frame
    rate, JPEG quality) stays null. The hash of the content changes, because the shards have more columns;
    ``manifest.json`` keeps the old one under ``upgraded``. Converted shards survive a kill.

    Args:
        manifest: its folder.
        out: folder of the converted manifest; default: in place, where the old manifest stays as it is until all
            shards are replaced at the end. Either way needs room for a second copy.
        workers: worker processes; default: one per CPU core.
        quiet: no progress bar.

    Returns:
        The converted manifest; the given one if it has the current format and ``out`` is not given.

    Raises:
        UsageError: it has the current format, and ``out`` is given; or ``out`` holds another manifest.
        DataError: it is not a manifest, not finished, of an unknown format, or damaged.
        SetupError: the disk is full, or another run is at work in the folder.
    """
    folder = Path(manifest).expanduser()
    target = folder if out is None else check_output_folder(Path(out).expanduser(), "--out DIR")
    in_place = target.resolve() == folder.resolve()
    count = worker_count(workers)
    if in_place and (folder / MANIFEST_FILE).is_file():
        with locked(folder):
            complete_commit(folder)
    source = open_manifest(folder)
    if source.info.format_version == MANIFEST_VERSION:
        if in_place:
            return source
        raise UsageError(f"{folder} has the current format {MANIFEST_VERSION}", "copy the folder, or drop --out")
    _check_room(source, target)
    with locked(target):
        if not in_place:
            check_folder(target, source.info.recipe)
        clear_temporary(target)
        try:
            return _run(source, target, in_place, count, quiet)
        finally:
            clear_temporary(target)


def _check_room(source: Manifest, target: Path) -> None:
    existing = next(path for path in (target.absolute(), *target.absolute().parents) if path.is_dir())
    needed = sum((source.path / shard.file).stat().st_size for shard in source.info.shards)
    if existing == target.absolute():  # what an interrupted run has converted
        needed -= sum(path.stat().st_size for path in existing.glob(f"{STAGED}*"))
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise SetupError(
            f"{existing} has {free / 1e9:.1f} GB free; a second copy of the shards takes {needed / 1e9:.1f} GB",
            "free some space, or give --out DIR on another disk",
        )


def _run(source: Manifest, target: Path, in_place: bool, workers: int, quiet: bool) -> Manifest:
    info = _new_info(source.info, target)
    if not in_place:
        write_info(target, info.model_copy(update={"complete": False, "shards": (), "hash": ""}))
    # A converted shard waits under another name until all of them can replace the old ones.
    names = {s.file: f"{STAGED}{s.file[6:-8]}-{s.sha256[:32]}" if in_place else s.file for s in source.info.shards}
    tasks = {shard.file: _task(source, shard, target / names[shard.file], info) for shard in source.info.shards}
    todo = [task for task in tasks.values() if not _is_finished(task)]
    title, done = f"upgrade {source.name}", len(tasks) - len(todo)
    with progress(title, len(tasks), "shards", done, quiet) as advance:
        for _ in make_shards(todo, workers):
            advance(1)
    made = [shard.model_copy(update={"sha256": file_sha256(tasks[shard.file].target)}) for shard in source.info.shards]
    content = info.model_copy(update={"shards": tuple(made), "hash": content_hash(made)})
    if not in_place and (states := read_states(source.path / state_name())):
        write_states(target / state_name(), states)
    moves = {now: final for final, now in names.items()} if in_place else {}
    commit(target, moves, MANIFEST_FILE, content, source.info.model_copy(update={"complete": False}))
    return open_manifest(target)


def _new_info(old: ManifestInfo, target: Path) -> ManifestInfo:
    version = old.versions.get("onnxruntime")
    known = version is not None and old.face_detector in _ON_ONNXRUNTIME
    return old.model_copy(
        update={
            "format_version": MANIFEST_VERSION,
            "name": path_text(target.resolve().name),
            "face_detector_runtime": f"onnxruntime {version}" if known else "",
            "upgraded": {"format_version": old.format_version, "hash": old.hash},
        }
    )


def _task(source: Manifest, shard: ShardInfo, target: Path, info: ManifestInfo) -> ShardCopy:
    path = source.path.absolute() / shard.file
    stamp = read_stamp(path)
    if stamp is None or stamp.recipe_hash != info.recipe_hash or file_sha256(path) != shard.sha256:
        raise DataError(f"{path} is damaged, or not the shard that {MANIFEST_FILE} describes", "see: dfbench verify")
    new = Stamp(
        recipe_hash=stamp.recipe_hash,
        plan_hash=stamp.plan_hash,
        versions=stamp.versions,
        face_detector_runtime=info.face_detector_runtime,
    )
    old_columns = row_schema(info.sizes, info.extras, source.info.format_version).names
    return ShardCopy(
        path, target.absolute(), info.sizes, info.extras, new, RowUpgrader(info.dataset, tuple(old_columns))
    )


def _is_finished(task: ShardCopy) -> bool:
    return read_stamp(task.target) == task.stamp and _rows_in(task.target) == _rows_in(task.source)


def _rows_in(path: Path) -> int:
    rows: int = pq.read_metadata(path).num_rows
    return rows
