"""Run shard tasks over worker processes: of this machine, or of a cluster through joblib's backends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from joblib import Parallel, delayed, parallel_config

from dfbench.errors import UsageError, unknown_name
from dfbench.preparation.execution.cluster import dask_backend, on_cluster, ray_backend, require
from dfbench.preparation.execution.retry import Done, Work, guarded, inline
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import crew

ENGINES = ("local", "dask", "ray", "inline")

OnDone = Callable[[Done], None]


def worker_count(workers: int | None) -> int:
    """Worker processes to use: as given, else one per usable CPU core.

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
    """The engine to use: as given; else processes of this machine, and this process for one worker.

    Raises:
        UsageError: an unknown name, or an address for an engine that has none.
        SetupError: its packages are not installed.
    """
    if engine is None:
        engine = "inline" if workers == 1 else "local"
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if address is not None and engine not in ("dask", "ray"):
        raise UsageError("--address goes with --engine dask or ray", "drop it to work on this machine")
    if engine == "inline" and workers not in (None, 1):
        raise UsageError("--engine inline works in one process", "drop --workers, or use --engine local")
    require(engine)
    return engine


def run_tasks(
    work: Work,
    tasks: Sequence[ShardTask],
    jobs: int | None = None,
    engine: str = "local",
    address: str | None = None,
    on_done: OnDone | None = None,
) -> list[Done]:
    """Do all tasks; the order of the results means nothing.

    However a shard is made, its bytes are the same. Except with ``inline``, every shard is made in a process that
    may die: the clip it was reading is tried once more and then given up, see :func:`guarded`.

    Args:
        work: makes one shard.
        tasks: one a shard.
        jobs: workers; on a cluster only for the one that is started here when there is no address.
        engine: one of :data:`ENGINES`.
        address: of the cluster's scheduler.
        on_done: called for every finished shard, in this process; for ``ray`` at the end.

    Raises:
        SetupError: workers keep dying, a cluster's package is not installed, or it can not be reached.
    """
    done = []
    for result in _results(work, tasks, jobs, engine, address):
        if on_done is not None:
            on_done(result)
        done.append(result)
    return done


def _results(
    work: Work, tasks: Sequence[ShardTask], jobs: int | None, engine: str, address: str | None
) -> Iterator[Done]:
    if not tasks:
        return
    if engine == "inline":
        for task in tasks:
            yield inline(work, task)
    elif engine == "local":
        count = min(worker_count(jobs), len(tasks))
        with crew(count) as lend:

            def run(task: ShardTask) -> Done:
                with lend() as child:  # a thread a process hands it one task after the other
                    return guarded(child, work, task)

            pool = Parallel(n_jobs=count, backend="threading", batch_size=1, return_as="generator_unordered")
            yield from pool(delayed(run)(task) for task in tasks)
    elif engine == "dask":
        with dask_backend(address, worker_count(jobs)) as arguments, parallel_config(**arguments):
            pool = Parallel(batch_size=1, return_as="generator_unordered")
            yield from pool(delayed(on_cluster)(work, task) for task in tasks)
    else:
        # Its backend gives results only when all are there.
        with ray_backend(address, worker_count(jobs)) as arguments, parallel_config(**arguments):
            yield from Parallel(batch_size=1)(delayed(on_cluster)(work, task) for task in tasks)
