"""Run shard tasks over worker processes, and survive the death of a worker once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from dfbench.errors import SetupError, UsageError
from dfbench.preparation.tally import tally_path
from dfbench.preparation.worker import ShardTask
from dfbench.schema.manifest import ShardInfo

Work = Callable[[ShardTask], ShardInfo]


def job_count(jobs: int | None) -> int:
    """Worker processes to use: as given, else one a usable core.

    Raises:
        UsageError: fewer than one.
    """
    if jobs is None:
        usable = getattr(os, "sched_getaffinity", None)
        return len(usable(0)) if usable is not None else os.cpu_count() or 1
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {jobs}")
    return jobs


def run_tasks(work: Work, tasks: Sequence[ShardTask], jobs: int, folder: Path) -> list[ShardInfo]:
    """Do all tasks; the order of the results means nothing.

    One job runs in this process. When a worker process dies (memory, a decoder that crashes), the shards that were
    under way are tried once more, each by itself, and the rest goes on.

    Args:
        work: does one task.
        tasks: one a shard.
        jobs: worker processes.
        folder: where the tallies lie, which tell what was under way.

    Raises:
        SetupError: a worker died twice on the same shard; the message names it.
    """
    if jobs == 1:
        return [work(task) for task in tasks]
    try:
        return _with_retry(work, tasks, jobs, folder)
    finally:
        # Idle workers would keep their networks in memory long after.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _with_retry(work: Work, tasks: Sequence[ShardTask], jobs: int, folder: Path) -> list[ShardInfo]:
    done: dict[str, ShardInfo] = {}
    try:
        _round(work, tasks, jobs, done)
        return list(done.values())
    except BrokenProcessPool:
        pass
    rest = [t for t in tasks if t.shard.file not in done]
    suspects = [t for t in rest if tally_path(folder, t.shard.number).exists()]
    for task in suspects:
        try:
            _round(work, [task], jobs, done)
        except BrokenProcessPool as error:
            raise SetupError(
                f"a worker died twice on {task.shard.file} ({_span(task)})",
                "it ran out of memory (try --jobs 1), or a media file crashes the decoder; finished shards are kept",
            ) from error
    others = [t for t in rest if t.shard.file not in done]
    try:
        _round(work, others, jobs, done)
    except BrokenProcessPool as error:
        under_way = [t for t in others if t.shard.file not in done and tally_path(folder, t.shard.number).exists()]
        raise SetupError(
            f"workers died again, on {', '.join(t.shard.file for t in under_way) or 'start'}",
            "they ran out of memory (try --jobs 1), or media files crash the decoder; finished shards are kept",
        ) from error
    return list(done.values())


def _round(work: Work, tasks: Sequence[ShardTask], jobs: int, done: dict[str, ShardInfo]) -> None:
    # Fills ``done`` as results come, so that they are kept when a worker dies.
    for info in _results(work, tasks, jobs):
        done[info.file] = info


def _results(work: Work, tasks: Sequence[ShardTask], jobs: int) -> Iterator[ShardInfo]:
    with parallel_config(backend="loky", inner_max_num_threads=1):
        run = Parallel(n_jobs=jobs, batch_size=1, pre_dispatch=jobs, return_as="generator_unordered")
        yield from run(delayed(work)(task) for task in tasks)


def _span(task: ShardTask) -> str:
    media = task.shard.media
    return f"clips {media[0].media_id} to {media[-1].media_id}"
