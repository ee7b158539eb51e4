"""Make the unfinished shards of a plan, or of one array-job part of it, and write the manifest."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from dfbench.errors import DataError, DfbenchError, SetupError, UsageError
from dfbench.io import file_sha256
from dfbench.manifest.info import MANIFEST_FILE, PART_FILES, read_info, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, read_shard, read_stamp
from dfbench.preparation.execution.engine import run_tasks
from dfbench.preparation.execution.event_log import LOG_COLUMNS, EventLog, clip_problems, log_name
from dfbench.preparation.execution.finalize import completed, initial_info
from dfbench.preparation.execution.output_folder import check_folder, clear_temporary, locked, remove_stale_shards
from dfbench.preparation.execution.retry import ShardResult
from dfbench.preparation.execution.shard_progress import watched
from dfbench.preparation.execution.shard_worker import ShardTask, run_shard
from dfbench.preparation.planning.job_array import ArrayPart, PartInfo, part_files, plan_hash, read_part, write_part
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.shard_plan import ShardPlan
from dfbench.preparation.planning.sharding import Shard
from dfbench.progress import progress
from dfbench.schema.manifest import ManifestInfo, ShardInfo
from dfbench.versions import pixel_versions


@dataclass(frozen=True)
class Workers:
    """The worker processes of a run; they do not affect the result.

    Attributes:
        count: number of processes; None: one per CPU core.
        engine: see :data:`dfbench.preparation.execution.engine.ENGINES`.
        address: address of a cluster's scheduler.
    """

    count: int | None = None
    engine: str = "local"
    address: str | None = None


def run_plan(
    plan: ShardPlan, out: Path, workers: int | Workers = 1, quiet: bool = False, array_part: ArrayPart | None = None
) -> Manifest:
    """Make the unfinished shards of a plan, and complete the manifest.

    Args:
        plan: from :func:`dfbench.preparation.planning.shard_plan.plan_shards`.
        out: the manifest's folder.
        workers: number of worker processes, or a full description; 1 runs in this process.
        quiet: no progress bar.
        array_part: make only this part. Its manifest has only these shards and cannot be opened from the folder:
            ``dfbench merge`` joins all parts.
    """
    if isinstance(workers, int):
        workers = Workers(workers, "inline" if workers == 1 else "local")
    mine = [s for s in plan.shards if array_part is None or array_part.takes(s)]
    numbers = None if array_part is None else {s.number for s in mine}
    with locked(out, array_part):
        check_folder(out, plan.recipe.to_json())
        _check_kind(out, array_part)
        clear_temporary(out, numbers)
        try:
            return _run(plan, mine, out, workers, quiet, array_part)
        finally:
            clear_temporary(out, numbers)


def finished_shards(plan: ShardPlan, out: Path) -> tuple[Shard, ...]:
    """Return the shards of a plan that are finished in the folder, made by its recipe."""
    return tuple(shard for shard in plan.shards if _is_finished(out, shard, plan.recipe))


def _check_kind(out: Path, array_part: ArrayPart | None) -> None:
    if array_part is None:
        return
    if (out / MANIFEST_FILE).is_file():
        raise UsageError(f"{out} holds a whole manifest, not array-job parts", "give --out DIR, or drop --array")
    other = [file.name for file in part_files(out) if not file.name.endswith(f"-of-{array_part.of}.json")]
    if other:
        raise UsageError(
            f"{out} holds parts of another division: {', '.join(other[:3])}",
            f"use the same N, or give --out DIR for {array_part.option}",
        )


def _run(
    plan: ShardPlan, mine: Sequence[Shard], out: Path, workers: Workers, quiet: bool, array_part: ArrayPart | None
) -> Manifest:
    done = [shard for shard in mine if _is_finished(out, shard, plan.recipe)]
    known = _known_hashes(out, array_part)
    names = {shard.file for shard in done}
    todo = [shard for shard in mine if shard.file not in names]
    if not todo and known is not None and set(known) == names:
        return _open(out, plan, array_part)
    info = initial_info(plan.recipe, plan.scan, out)
    _write(out, info, plan, array_part)
    remove_stale_shards(out, {shard.file for shard in plan.shards}, array_part)
    log = EventLog(out / log_name(array_part.slug if array_part is not None else ""))
    begun = time.monotonic()
    log.write(
        "start",
        dataset=plan.recipe.dataset,
        recipe_hash=plan.recipe.hash,
        engine=workers.engine,
        clips=sum(len(shard.media) for shard in mine),
        shards=len(mine),
        finished_shards=len(done),
        warnings=info.warnings,
    )
    try:
        made = _make(plan, todo, done, out, workers, quiet, log)
    except (DfbenchError, KeyboardInterrupt) as error:
        _log_end(log, error)
        raise
    kept = [_describe_shard(out, shard, known or {}) for shard in done]
    info = completed(info, out, sorted([*made, *kept], key=lambda s: s.file))
    _write(out, info, plan, array_part)
    if array_part is None:
        for file in out.glob(PART_FILES):  # their content is in manifest.json now
            file.unlink(missing_ok=True)
    log.write("end", seconds=round(time.monotonic() - begun, 3), rows=info.counts)
    return _open(out, plan, array_part)


def _make(
    plan: ShardPlan,
    todo: Sequence[Shard],
    done: Sequence[Shard],
    out: Path,
    workers: Workers,
    quiet: bool,
    log: EventLog,
) -> list[ShardInfo]:
    versions = pixel_versions()
    # Workers of a cluster may have another working directory.
    root, folder = Path(os.path.abspath(plan.root)), Path(os.path.abspath(out))
    tasks = [ShardTask(shard, root, folder, plan.recipe, _stamp(plan.recipe, shard, versions)) for shard in todo]
    clips = {shard.file: len(shard.media) for shard in todo}
    before = sum(len(shard.media) for shard in done)

    def log_shard(made: ShardResult) -> None:
        for crash in made.crashes:
            log.write("death", made.at, shard=crash.shard, media_id=crash.media_id, exit_status=crash.code)
        for problem in clip_problems(read_shard(out / made.info.file, LOG_COLUMNS)):
            log.write("clip", made.at, shard=made.info.file, **problem)
        log.write("shard", made.at, shard=made.info.file, clips=clips[made.info.file], rows=made.info.rows)

    total = before + sum(clips.values())
    with progress(f"prepare {plan.recipe.dataset}", total, "clips", before, quiet) as advance, watched(out, advance):
        results = run_tasks(run_shard, tasks, workers.count, workers.engine, workers.address, log_shard)
    return [result.info for result in results]


def _log_end(log: EventLog, error: BaseException) -> None:
    reason = error.message if isinstance(error, DfbenchError) else "interrupted"
    with contextlib.suppress(SetupError):  # if a full disk stopped the run, report the first error
        log.write("stopped", reason=reason)


def _write(out: Path, info: ManifestInfo, plan: ShardPlan, array_part: ArrayPart | None) -> None:
    if array_part is None:
        write_info(out, info)
        return
    whole = plan_hash(plan.shards)
    part = PartInfo(number=array_part.number, of=array_part.of, plan=whole, plan_shards=len(plan.shards), manifest=info)
    write_part(out, part)


def _open(out: Path, plan: ShardPlan, array_part: ArrayPart | None) -> Manifest:
    return open_manifest(out) if array_part is None else Manifest(out, read_part(out / array_part.file).manifest)


def _stamp(recipe: PreparationRecipe, shard: Shard, versions: dict[str, str]) -> Stamp:
    return Stamp(recipe_hash=recipe.hash, plan_hash=shard.hash, versions=versions)


def _is_finished(out: Path, shard: Shard, recipe: PreparationRecipe) -> bool:
    # Versions may differ: a finished shard is kept, and manifest.json lists all versions.
    stamp = read_stamp(out / shard.file)
    return stamp is not None and stamp == _stamp(recipe, shard, stamp.versions)


def _known_hashes(out: Path, array_part: ArrayPart | None) -> dict[str, ShardInfo] | None:
    # None: there is no complete description.
    try:
        info = read_info(out) if array_part is None else read_part(out / array_part.file).manifest
    except DataError:
        return None
    return {s.file: s for s in info.shards} if info.complete else None


def _describe_shard(out: Path, shard: Shard, known: dict[str, ShardInfo]) -> ShardInfo:
    if shard.file in known:
        return known[shard.file]
    path = out / shard.file
    return ShardInfo(file=shard.file, sha256=file_sha256(path), rows=pq.read_metadata(path).num_rows)
