"""Make a manifest from another one, shard by shard, without detecting faces again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config

from dfbench.errors import DataError, DfbenchError, UsageError
from dfbench.io import canonical_hash, file_sha256
from dfbench.manifest.info import read_info, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, open_shard, read_stamp, reason, write_shard
from dfbench.preparation.execution.engine import worker_count
from dfbench.preparation.execution.finalize import completed
from dfbench.preparation.execution.output_folder import check_folder, clear_temporary, locked, remove_stale_shards
from dfbench.preparation.extraction.rows import Row
from dfbench.progress import progress
from dfbench.schema.manifest import MANIFEST_VERSION, ShardInfo
from dfbench.storage import as_path
from dfbench.text import path_text
from dfbench.versions import merged_versions, pixel_versions

MakeRows = Callable[[Path], Iterator[Row]]
"""Shard of the source manifest -> rows of the new shard; called in worker processes."""


@dataclass(frozen=True)
class Derivation:
    """How a manifest is made from another.

    Attributes:
        title: of the progress bar.
        recipe: of the new manifest; it identifies the source manifest by its content.
        sizes: crop sizes in pixels, in rising order.
        extras: groups of optional columns.
        changes: further fields of ``manifest.json``.
        make_rows: makes the rows of a shard.
        at_end: fields of ``manifest.json`` that are known when all shards are finished.
    """

    title: str
    recipe: Mapping[str, Any]
    sizes: tuple[int, ...]
    extras: tuple[str, ...]
    changes: Mapping[str, Any]
    make_rows: MakeRows
    at_end: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class ShardCopy:
    """One shard to make; see :class:`Derivation`."""

    source: Path
    target: Path
    sizes: tuple[int, ...]
    extras: tuple[str, ...]
    stamp: Stamp
    make_rows: MakeRows


def derive(
    source: Manifest, out: str | Path, how: Derivation, workers: int | None = None, quiet: bool = False
) -> Manifest:
    """Make a manifest from another. Finished shards survive a kill; the bytes do not depend on the order of the work.

    Raises:
        UsageError: ``out`` is the folder of the source manifest, or holds another one.
        DataError: the source manifest is damaged.
        SetupError: the disk is full, or another run is at work in ``out``.
    """
    folder = as_path(out)
    if folder.resolve() == source.path.resolve():
        raise UsageError("the output folder is the folder of the source manifest", "give --out DIR")
    count = worker_count(workers)
    with locked(folder):
        check_folder(folder, how.recipe)
        clear_temporary(folder)
        try:
            return _run(source, folder, how, count, quiet)
        finally:
            clear_temporary(folder)


def _run(source: Manifest, out: Path, how: Derivation, workers: int, quiet: bool) -> Manifest:
    versions = merged_versions([source.info.versions, pixel_versions()])
    digest = canonical_hash(how.recipe)
    # joblib's processes keep the working directory of an earlier call.
    read, write = source.path.absolute(), out.absolute()
    tasks = [
        ShardCopy(
            read / shard.file,
            write / shard.file,
            how.sizes,
            how.extras,
            Stamp(
                recipe_hash=digest,
                plan_hash=shard.sha256,
                versions=versions,
                face_detector_runtime=source.info.face_detector_runtime,
            ),
            how.make_rows,
        )
        for shard in source.info.shards
    ]
    todo = [task for task in tasks if not _is_finished(task)]
    if not todo and _is_complete(out, digest):
        return open_manifest(out)
    info = source.info.model_copy(
        update={
            "format_version": MANIFEST_VERSION,
            "name": path_text(out.resolve().name),
            "complete": False,
            "recipe": dict(how.recipe),
            "recipe_hash": digest,
            "sizes": how.sizes,
            "extras": how.extras,
            "shards": (),
            "hash": "",
        }
        | dict(how.changes)
    )
    write_info(out, info)
    with progress(how.title, len(tasks), "shards", len(tasks) - len(todo), quiet) as advance:
        for _ in make_shards(todo, workers):
            advance(1)
    shards = [ShardInfo(file=t.target.name, sha256=file_sha256(t.target), rows=_rows_in(t.target)) for t in tasks]
    write_info(out, completed(info.model_copy(update=dict(how.at_end())), out, shards))
    remove_stale_shards(out, {task.target.name for task in tasks})
    return open_manifest(out)


def make_shards(tasks: Sequence[ShardCopy], workers: int) -> Iterator[Path]:
    """Make shards in worker processes, or in this one if there is nothing to divide; yield each when it is finished."""
    if workers == 1 or len(tasks) < 2:
        yield from map(make_shard, tasks)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        run = Parallel(n_jobs=workers, batch_size=1, pre_dispatch=workers, return_as="generator_unordered")
        yield from run(delayed(make_shard)(task) for task in tasks)


def make_shard(task: ShardCopy) -> Path:
    """Make one shard and return its file; the bytes do not depend on the process or the order of the work.

    Raises:
        DataError: the source shard is damaged.
        SetupError: the file cannot be written.
    """
    write_shard(task.target, _checked_rows(task), task.sizes, task.stamp, task.extras)
    return task.target


def _checked_rows(task: ShardCopy) -> Iterator[Row]:
    try:
        yield from task.make_rows(task.source)
    except (DfbenchError, OSError, GeneratorExit):
        raise
    except Exception as error:  # geometry and images of a stranger's rows fail in any library that computes with them
        raise DataError(
            f"the rows of {task.source} cannot be used: {type(error).__name__}: {reason(error)}",
            f"the shard is damaged; see: dfbench verify {task.source.parent}",
        ) from error


def _is_finished(task: ShardCopy) -> bool:
    stamp = read_stamp(task.target)
    return stamp is not None and stamp == task.stamp.model_copy(update={"versions": stamp.versions})


def _is_complete(out: Path, digest: str) -> bool:
    try:
        info = read_info(out)
    except DataError:
        return False
    return info.complete and info.recipe_hash == digest


def _rows_in(path: Path) -> int:
    rows: int = open_shard(path).metadata.num_rows
    return rows
