"""Run shard tasks in worker processes: on this machine, or on a cluster through joblib's backends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from joblib import Parallel, delayed, parallel_config

from dfbench.errors import UsageError, unknown_name
from dfbench.preparation.execution.cluster import dask_backend, make_on_cluster, ray_backend, require
from dfbench.preparation.execution.retry import (
    Postponed,
    ShardResult,
    Work,
    WorkerCrash,
    make_inline,
    make_with_retries,
    unfinished,
)
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import process_pool

ENGINES = ("local", "dask", "ray", "inline")

OnShard = Callable[[ShardResult], None]

DEFAULT_TIME_LIMIT = 300
"""Seconds without a frame after which a clip is interrupted."""


@dataclass(frozen=True)
class Workers:
    """The worker processes of a run; they do not affect the result.

    Attributes:
        count: number of processes; None: one per CPU core. On a cluster only for one that is started here because no
            address is given.
        engine: see :data:`ENGINES`.
        address: address of a cluster's scheduler.
        time_limit: seconds without a frame after which a clip is interrupted.
    """

    count: int | None = None
    engine: str = "local"
    address: str | None = None
    time_limit: float = DEFAULT_TIME_LIMIT


def worker_count(workers: int | None) -> int:
    """Return the number of worker processes: as given, else one per usable CPU core.

    Raises:
        UsageError: fewer than one.
    """
    if workers is None:
        usable = getattr(os, "sched_getaffinity", None)
        return len(usable(0)) if usable is not None else os.cpu_count() or 1
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}")
    return workers


def check_engine(engine: str | None, address: str | None, workers: int | None) -> str:
    """Return the engine: as given; else ``local``, or ``inline`` for one worker.

    Raises:
        UsageError: an unknown name, or an address for an engine that takes none.
        SetupError: its packages are not installed.
    """
    if engine is None:
        engine = "inline" if workers == 1 else "local"
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if address is not None and engine not in ("dask", "ray"):
        raise UsageError("--address is only valid with --engine dask or ray", "drop it to run on this machine")
    if engine == "inline" and workers not in (None, 1):
        raise UsageError("--engine inline uses one process", "drop --workers, or use --engine local")
    require(engine)
    return engine


def check_time_limit(seconds: float) -> float:
    """Return the time limit of a clip.

    Raises:
        UsageError: it is not positive.
    """
    if not seconds > 0:
        raise UsageError(f"--time-limit must be positive, not {seconds:g}", "seconds without a frame, for example 300")
    return seconds


def run_tasks(
    work: Work,
    tasks: Sequence[ShardTask],
    workers: Workers,
    on_shard: OnShard | None = None,
) -> list[ShardResult]:
    """Run all tasks; the results are in no particular order.

    The bytes of a shard do not depend on the engine. Except with ``inline``, every shard is made in a process that may
    crash, hang or be killed; see :mod:`dfbench.preparation.execution.retry`. Shards whose worker is killed, runs out of
    memory or exceeds the time limit are tried again one by one when all others are finished.

    Args:
        work: makes one shard.
        tasks: one per shard.
        workers: who does the work.
        on_shard: called for every finished shard, in this process; with ``ray``, at the end.

    Raises:
        SetupError: workers crash repeatedly, shards could not be made even alone, a cluster's package is not installed,
            or it cannot be reached.
    """
    done: list[ShardResult] = []
    failed: list[Postponed] = []
    for result in _results(work, tasks, workers):
        if isinstance(result, Postponed):
            failed.append(result)
            continue
        if on_shard is not None:
            on_shard(result)
        done.append(result)
    if failed:
        raise unfinished(failed)
    return done


_Outcome = ShardResult | Postponed
_Try = tuple[ShardTask, tuple[WorkerCrash, ...], bool]
"""A task, what happened when it was tried before, and whether it is tried alone."""


def _results(work: Work, tasks: Sequence[ShardTask], workers: Workers) -> Iterator[_Outcome]:
    """Yield what becomes of each task: first all together, then each postponed one alone."""
    if not tasks:
        return
    if workers.engine == "inline":
        for task in tasks:
            yield make_inline(work, task, workers.time_limit)
        return
    limit = workers.time_limit
    with _pool(workers, len(tasks)) as run:
        again: list[Postponed] = []
        for result in run(work, [(task, (), False) for task in tasks], limit):
            if isinstance(result, Postponed):
                again.append(result)
            else:
                yield result
        for postponed in again:
            yield from run(work, [(postponed.task, postponed.crashes, True)], limit)


_Runner = Callable[[Work, Sequence[_Try], float], Iterator[_Outcome]]


@contextmanager
def _pool(workers: Workers, tasks: int) -> Iterator[_Runner]:
    # A function that tries tasks with all workers of the engine.
    jobs = worker_count(workers.count)
    if workers.engine == "local":
        count = min(jobs, tasks)
        with process_pool(count) as borrow:

            def locally(work: Work, tries: Sequence[_Try], limit: float) -> Iterator[_Outcome]:
                def make(task: ShardTask, earlier: tuple[WorkerCrash, ...], alone: bool) -> _Outcome:
                    with borrow() as process:  # one thread per process gives it one task after the other
                        return make_with_retries(process, work, task, limit, earlier, alone)

                pool = Parallel(n_jobs=count, backend="threading", batch_size=1, return_as="generator_unordered")
                yield from pool(delayed(make)(*given) for given in tries)

            yield locally
        return
    backend = dask_backend if workers.engine == "dask" else ray_backend
    # Ray's backend returns results only when all are finished.
    options = {"return_as": "generator_unordered"} if workers.engine == "dask" else {}
    with backend(workers.address, jobs) as arguments, parallel_config(**arguments):

        def on_cluster(work: Work, tries: Sequence[_Try], limit: float) -> Iterator[_Outcome]:
            pool = Parallel(batch_size=1, **options)
            yield from pool(
                delayed(make_on_cluster)(work, task, limit, earlier, alone) for task, earlier, alone in tries
            )

        yield on_cluster
