"""Run shard tasks on a Dask or Ray cluster through joblib's backends.

All machines must have the same folders, or read and write the same object store.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Any

from dfbench.errors import SetupError
from dfbench.preparation.execution.retry import Postponed, ShardResult, Work, WorkerCrash, make_with_retries
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import WorkerProcess
from dfbench.schema.manifest import ShardInfo
from dfbench.versions import pixel_versions

SECONDS_TO_CONNECT = 30
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType({"dask": ("dask", "distributed"), "ray": ("ray",)})


@contextmanager
def dask_backend(address: str | None, workers: int) -> Iterator[dict[str, Any]]:
    """Yield the arguments of ``joblib.parallel_config`` for a Dask scheduler.

    Args:
        address: of the scheduler, for example ``tcp://host:8786``; None starts workers on this machine.
        workers: number of workers in that case.

    Raises:
        SetupError: Dask is not installed, or there is no scheduler at the address.
    """
    distributed = _imported("dask", "distributed")
    if address is None:
        with (
            distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield {"backend": "dask", "client": client}
        return
    try:
        client = distributed.Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise _unreachable("Dask scheduler", address, "tcp://host:8786") from error
    with client:
        if not client.ncores():
            raise SetupError(f"the Dask scheduler at {address} has no workers", "start workers: dask worker ADDRESS")
        yield {"backend": "dask", "client": client}


@contextmanager
def ray_backend(address: str | None, workers: int) -> Iterator[dict[str, Any]]:
    """Yield the arguments of ``joblib.parallel_config`` for Ray.

    Args:
        address: of the cluster, for example ``auto`` or ``ray://host:10001``; None starts one on this machine.
        workers: number of workers in that case.

    Raises:
        SetupError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _imported("ray", "ray")
    import_module("ray.util.joblib").register_ray()
    started = not ray.is_initialized()
    if started:
        local = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
        except Exception as error:  # if it does not start in time, Ray raises this class
            raise _unreachable("Ray cluster", address or "this machine", "auto, or ray://host:10001") from error
    try:
        yield {"backend": "ray", "n_jobs": workers if address is None and started else -1}
    finally:
        if started:
            ray.shutdown()


def make_on_cluster(
    work: Work, task: ShardTask, time_limit: float, earlier: Sequence[WorkerCrash] = (), alone: bool = False
) -> ShardResult | Postponed:
    """Make a shard on a machine of a cluster, in a separate process there; see :func:`make_with_retries`.

    Raises:
        SetupError: the machine has no access to the folders, or other versions of the libraries.
    """
    with WorkerProcess() as process:
        return make_with_retries(process, _CheckedWork(work), task, time_limit, earlier, alone)


class _CheckedWork:
    """Work that is done only if the machine has the folders and the library versions of the command's machine."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, task: ShardTask) -> ShardInfo:
        host = platform.node()
        for folder in (task.out,) if task.staged is not None else (task.root, task.out):
            if not folder.is_dir():
                raise SetupError(
                    f"the worker on {host} has no access to {folder}", "mount it at the same path on all machines"
                )
        mine = pixel_versions()
        differ = [f"{k} {mine.get(k)} instead of {v}" for k, v in task.stamp.versions.items() if mine.get(k) != v]
        if differ:
            raise SetupError(
                f"the worker on {host} has other versions than this machine: {', '.join(differ)}",
                "install the same versions on all machines: the bytes of shards depend on them",
            )
        return self._work(task)


def require(engine: str) -> None:
    """Raise :class:`SetupError` unless the packages of an engine are installed."""
    for package in _PACKAGES.get(engine, ()):
        if find_spec(package) is None:
            raise _not_installed(engine)


def _imported(engine: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise _not_installed(engine) from error


def _not_installed(engine: str) -> SetupError:
    return SetupError(
        f"--engine {engine} needs {' and '.join(_PACKAGES[engine])}, which is not installed",
        f'pip install "deepfake-dfbench[{engine}]", or use --engine local',
    )


def _unreachable(what: str, address: str, example: str) -> SetupError:
    return SetupError(f"no {what} found at {address}", f"check that it runs, and --address (for example {example})")
