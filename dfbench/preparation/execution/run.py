"""Make the unfinished shards of a plan, or of one array-job part of it, and write the manifest."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import DfbenchError, SetupError
from dfbench.io import file_sha256
from dfbench.manifest.info import PART_FILES, write_description
from dfbench.manifest.manifest import Manifest
from dfbench.manifest.shards import Stamp, open_shard, read_shard
from dfbench.preparation.execution.commit import STAGED, commit, complete_commit
from dfbench.preparation.execution.description import Description
from dfbench.preparation.execution.engine import Workers, run_tasks
from dfbench.preparation.execution.event_log import LOG_COLUMNS, EventLog, clip_problems, log_name
from dfbench.preparation.execution.finalize import completed, initial_info
from dfbench.preparation.execution.inventory import (
    Inventory,
    ResumeOptions,
    check_nothing_missing,
    staged_name,
    take_inventory,
)
from dfbench.preparation.execution.media_state import FileState, state_name, write_states
from dfbench.preparation.execution.output_folder import (
    STATE_FILES,
    check_folder,
    clear_temporary,
    locked,
    remove_stale_shards,
)
from dfbench.preparation.execution.retry import ShardResult
from dfbench.preparation.execution.shard_progress import journal_folder, progress_folder, watched
from dfbench.preparation.execution.shard_worker import ShardTask, run_shard
from dfbench.preparation.planning.job_array import ArrayPart
from dfbench.preparation.planning.shard_plan import ShardPlan
from dfbench.preparation.planning.sharding import Shard
from dfbench.progress import progress
from dfbench.schema.manifest import ManifestInfo, ShardInfo
from dfbench.storage import StoredPath
from dfbench.versions import pixel_versions

logger = logging.getLogger("dfbench")


@dataclass(frozen=True)
class _Run:
    """A run in a folder whose lock is held: its shards, and who makes them."""

    plan: ShardPlan
    mine: tuple[Shard, ...]
    description: Description
    workers: Workers
    quiet: bool

    @property
    def out(self) -> Path:
        return self.description.out

    @property
    def state_file(self) -> Path:
        return self.out / state_name(self.description.slug)


def run_plan(
    plan: ShardPlan,
    out: Path,
    workers: int | Workers = 1,
    quiet: bool = False,
    array_part: ArrayPart | None = None,
    resume: ResumeOptions | None = None,
) -> Manifest:
    """Make the unfinished shards of a plan, and complete the manifest.

    A complete manifest in the folder stays as it is until the new one replaces it.

    Args:
        plan: from :func:`dfbench.preparation.planning.shard_plan.plan_shards`.
        out: the manifest's folder.
        workers: number of worker processes, or a full description; 1 runs in this process.
        quiet: no progress bar.
        array_part: make only this part. Its manifest has only these shards and cannot be opened from the folder:
            ``dfbench merge`` joins all parts.
        resume: what to do with what the folder holds; default: keep all that still fits.

    Raises:
        DataError: media of finished shards are not in the tree.
        SetupError: shards could not be made on this machine, or another run is at work in the folder.
    """
    if isinstance(workers, int):
        workers = Workers(workers, "inline" if workers == 1 else "local")
    mine = tuple(s for s in plan.shards if array_part is None or array_part.takes(s))
    numbers = None if array_part is None else {s.number for s in mine}
    description = Description(out, plan, array_part)
    with locked(out, array_part):
        check_folder(out, plan.recipe.to_json())
        description.check_kind()
        clear_temporary(out, numbers, description.slug)
        try:
            return _run(_Run(plan, mine, description, workers, quiet), resume or ResumeOptions())
        finally:
            clear_temporary(out, numbers, description.slug)


def finished_shards(plan: ShardPlan, out: Path) -> tuple[Shard, ...]:
    """Return the shards of a plan that are finished in the folder, made by its recipe from the tree as it is now."""
    finished = take_inventory(plan, plan.shards, out).finished
    return tuple(shard for shard in plan.shards if shard.number in finished)


def _run(run: _Run, resume: ResumeOptions) -> Manifest:
    complete_commit(run.out, run.description.slug)
    found = take_inventory(run.plan, run.mine, run.out, run.description.array_part, resume.retry)
    if not resume.allow_missing:
        check_nothing_missing(found, run.plan, run.out)
    known = run.description.read_complete()
    if known is not None and _is_current(run, found, known):
        if found.states.keys() != found.recorded.keys():
            write_states(run.state_file, found.states)
        _remove_leftovers(run)
        return run.description.open()
    for message in found.messages():
        logger.warning("%s", message)
    incomplete = initial_info(run.plan.recipe, run.plan.scan, run.out)
    targets = {shard.number: _target(run.out, shard, found, known) for shard in found.todo}
    if known is None:
        write_description(run.out / run.description.file, run.description.content(incomplete))
        write_states(run.state_file, _states_at_start(run, found, targets))
    log = EventLog(run.out / log_name(run.description.slug))
    begun = time.monotonic()
    log.write(
        "start",
        dataset=run.plan.recipe.dataset,
        recipe_hash=run.plan.recipe.hash,
        engine=run.workers.engine,
        clips=sum(len(shard.media) for shard in run.mine),
        shards=len(run.mine),
        finished_shards=len(found.finished),
        warnings=(*incomplete.warnings, *found.messages()),
    )
    try:
        made = _make(run, found, targets, log, known)
    except (DfbenchError, KeyboardInterrupt) as error:
        _log_end(log, error)
        raise
    located = {shard.file: targets.get(shard.number) or found.finished[shard.number] for shard in run.mine}
    described = {shard.file: shard for shard in (known.shards if known is not None else ())}
    kept = [_describe_shard(run.out, shard.file, located[shard.file], described) for shard in _finished(run, found)]
    info = completed(incomplete, run.out, sorted([*made, *kept], key=lambda s: s.file), located)
    _replace(run, found, located, info, incomplete)
    log.write("end", seconds=round(time.monotonic() - begun, 3), rows=info.counts)
    return run.description.open()


def _is_current(run: _Run, found: Inventory, known: ManifestInfo) -> bool:
    # Whether the complete description in the folder describes exactly the shards of the plan, under their names.
    named = all(found.finished.get(shard.number) == shard.file for shard in run.mine)
    return named and {shard.file for shard in known.shards} == {shard.file for shard in run.mine}


def _finished(run: _Run, found: Inventory) -> list[Shard]:
    return [shard for shard in run.mine if shard.number in found.finished]


def _target(out: Path, shard: Shard, found: Inventory, known: ManifestInfo | None) -> str:
    # A shard gets its final name at once where that is of no use to anybody yet.
    if known is None and not (out / shard.file).exists():
        return shard.file
    return staged_name(shard, found.states)


def _states_at_start(run: _Run, found: Inventory, targets: Mapping[int, str]) -> dict[str, FileState]:
    """Return what is to be recorded before the work: how media are when they are read, whenever a run is killed.

    Shards that get other names first leave the old file, and so the old record, in place.
    """
    out = {}
    for shard in run.mine:
        waits = (targets.get(shard.number) or found.finished[shard.number]).startswith(STAGED)
        for media in shard.media:
            before = found.recorded.get(media.media_id)
            if waits and before is not None:
                out[media.media_id] = before
            elif not waits:
                out[media.media_id] = found.states[media.media_id]
    return out


def _make(
    run: _Run, found: Inventory, targets: Mapping[int, str], log: EventLog, known: ManifestInfo | None
) -> list[ShardInfo]:
    hashes = {shard.file: shard.sha256 for shard in (known.shards if known is not None else ())}
    versions = pixel_versions()
    recipe = run.plan.recipe
    folder_name = progress_folder(run.description.slug)
    # Workers of a cluster may have another working directory.
    root, folder = Path(os.path.abspath(run.plan.root)), _absolute(run.out)
    tasks = [
        ShardTask(
            shard,
            root,
            folder,
            recipe,
            Stamp(
                recipe_hash=recipe.hash,
                plan_hash=shard.hash,
                versions=versions,
                face_detector_runtime=recipe.runtime,
                groups=shard.group_hashes,
            ),
            file=targets[shard.number],
            progress=folder_name,
            stored={
                d: (found.stored[d], hashes.get(found.stored[d], "")) for d in shard.group_hashes if d in found.stored
            },
            staged=run.plan.staged(shard.media),
        )
        for shard in found.todo
    ]
    clips = {shard.file: len(shard.media) for shard in found.todo}
    files = {shard.file: targets[shard.number] for shard in found.todo}
    before = sum(len(shard.media) for shard in _finished(run, found))

    def log_shard(made: ShardResult) -> None:
        name = made.info.file
        for crash in made.crashes:
            reason = {"reason": crash.reason} if crash.reason else {}
            log.write("death", made.at, shard=crash.shard, media_id=crash.media_id, exit_status=crash.code, **reason)
        for problem in clip_problems(read_shard(run.out / files[name], LOG_COLUMNS)):
            log.write("clip", made.at, shard=name, **problem)
        log.write("shard", made.at, shard=name, clips=clips[name], rows=made.info.rows)

    total = before + sum(clips.values())
    with (
        progress(f"prepare {recipe.dataset}", total, "clips", before, run.quiet) as advance,
        watched(journal_folder(run.out, folder_name), advance),
    ):
        results = run_tasks(run_shard, tasks, run.workers, log_shard)
    return [result.info for result in results]


def _absolute(path: Path) -> Path:
    return path if isinstance(path, StoredPath) else Path(os.path.abspath(path))


def _replace(
    run: _Run, found: Inventory, located: Mapping[str, str], info: ManifestInfo, incomplete: ManifestInfo
) -> None:
    """Give all files their final names, write the description, and remove what it does not need."""
    moves = {now: final for final, now in located.items() if now != final}
    waiting = STAGED + run.state_file.stem
    if moves:
        write_states(run.out / waiting, found.states)
        moves[waiting] = run.state_file.name
    else:
        write_states(run.state_file, found.states)
    content = run.description.content
    commit(run.out, moves, run.description.file, content(info), content(incomplete), run.description.slug)
    _remove_leftovers(run)


def _remove_leftovers(run: _Run) -> None:
    # Also where a run was killed just before this.
    remove_stale_shards(run.out, {shard.file for shard in run.mine}, run.description.array_part)
    (run.out / (STAGED + run.state_file.stem)).unlink(missing_ok=True)
    if run.description.array_part is None:  # what the parts held is in the whole manifest now
        for file in (*run.out.glob(PART_FILES), *run.out.glob(STATE_FILES)):
            file.unlink(missing_ok=True)


def _log_end(log: EventLog, error: BaseException) -> None:
    reason = error.message if isinstance(error, DfbenchError) else "interrupted"
    with contextlib.suppress(SetupError):  # if a full disk stopped the run, report the first error
        log.write("stopped", reason=reason)


def _describe_shard(out: Path, file: str, now: str, known: Mapping[str, ShardInfo]) -> ShardInfo:
    if now in known:
        return known[now].model_copy(update={"file": file})
    path = out / now
    return ShardInfo(file=file, sha256=file_sha256(path), rows=open_shard(path).metadata.num_rows)
