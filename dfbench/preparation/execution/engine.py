"""Run shard tasks in worker processes: on this machine, or on a cluster through joblib's backends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from joblib import Parallel, delayed, parallel_config

from dfbench.errors import UsageError, unknown_name
from dfbench.preparation.execution.cluster import dask_backend, make_on_cluster, ray_backend, require
from dfbench.preparation.execution.retry import ShardResult, Work, make_inline, make_with_retries
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import process_pool

ENGINES = ("local", "dask", "ray", "inline")

OnShard = Callable[[ShardResult], None]


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


def run_tasks(
    work: Work,
    tasks: Sequence[ShardTask],
    jobs: int | None = None,
    engine: str = "local",
    address: str | None = None,
    on_shard: OnShard | None = None,
) -> list[ShardResult]:
    """Run all tasks; the results are in no particular order.

    The bytes of a shard do not depend on the engine. Except with ``inline``, every shard is made in a process that
    may crash: the clip that it was reading is tried once more and then given up, see :func:`make_with_retries`.

    Args:
        work: makes one shard.
        tasks: one per shard.
        jobs: number of workers; on a cluster only for one that is started here because no address is given.
        engine: one of :data:`ENGINES`.
        address: address of the cluster's scheduler.
        on_shard: called for every finished shard, in this process; with ``ray``, at the end.

    Raises:
        SetupError: workers crash repeatedly, a cluster's package is not installed, or it cannot be reached.
    """
    done = []
    for result in _results(work, tasks, jobs, engine, address):
        if on_shard is not None:
            on_shard(result)
        done.append(result)
    return done


def _results(
    work: Work, tasks: Sequence[ShardTask], jobs: int | None, engine: str, address: str | None
) -> Iterator[ShardResult]:
    if not tasks:
        return
    if engine == "inline":
        for task in tasks:
            yield make_inline(work, task)
    elif engine == "local":
        count = min(worker_count(jobs), len(tasks))
        with process_pool(count) as borrow:

            def run(task: ShardTask) -> ShardResult:
                with borrow() as process:  # one thread per process gives it one task after the other
                    return make_with_retries(process, work, task)

            pool = Parallel(n_jobs=count, backend="threading", batch_size=1, return_as="generator_unordered")
            yield from pool(delayed(run)(task) for task in tasks)
    elif engine == "dask":
        with dask_backend(address, worker_count(jobs)) as arguments, parallel_config(**arguments):
            pool = Parallel(batch_size=1, return_as="generator_unordered")
            yield from pool(delayed(make_on_cluster)(work, task) for task in tasks)
    else:
        # Its backend returns results only when all are finished.
        with ray_backend(address, worker_count(jobs)) as arguments, parallel_config(**arguments):
            yield from Parallel(batch_size=1)(delayed(make_on_cluster)(work, task) for task in tasks)
