"""Work on a Dask or Ray cluster, through joblib's backends for them. Its machines must see the same folders."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Any

from dfbench.errors import SetupError
from dfbench.preparation.execution.retry import Done, Work, guarded
from dfbench.preparation.execution.shard_worker import ShardTask
from dfbench.preparation.execution.subprocess_worker import Child
from dfbench.schema.manifest import ShardInfo
from dfbench.versions import pixel_versions

SECONDS_TO_CONNECT = 30
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType({"dask": ("dask", "distributed"), "ray": ("ray",)})


@contextmanager
def dask_backend(address: str | None, jobs: int) -> Iterator[dict[str, Any]]:
    """Arguments of ``joblib.parallel_config`` for a Dask scheduler.

    Args:
        address: of the scheduler, for example ``tcp://host:8786``; None starts workers on this machine.
        jobs: how many of those.

    Raises:
        SetupError: Dask is not installed, or nothing answers at the address.
    """
    distributed = _imported("dask", "distributed")
    if address is None:
        with (
            distributed.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster,
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
            raise SetupError(f"the Dask scheduler at {address} has no workers", "start some: dask worker ADDRESS")
        yield {"backend": "dask", "client": client}


@contextmanager
def ray_backend(address: str | None, jobs: int) -> Iterator[dict[str, Any]]:
    """Arguments of ``joblib.parallel_config`` for Ray.

    Args:
        address: of the cluster, for example ``auto`` or ``ray://host:10001``; None starts one on this machine.
        jobs: its processors, in that case.

    Raises:
        SetupError: Ray is not installed, or nothing answers at the address.
    """
    ray = _imported("ray", "ray")
    import_module("ray.util.joblib").register_ray()
    started = not ray.is_initialized()
    if started:
        local = {"num_cpus": jobs, "include_dashboard": False} if address is None else {"address": address}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **local)
        except Exception as error:  # where it does not start in time, Ray raises no other class than this
            raise _unreachable("Ray cluster", address or "this machine", "auto, or ray://host:10001") from error
    try:
        yield {"backend": "ray", "n_jobs": jobs if address is None and started else -1}
    finally:
        if started:
            ray.shutdown()


def on_cluster(work: Work, task: ShardTask) -> Done:
    """Make a shard on a machine of a cluster, in a process of its own there; see :func:`guarded`.

    Raises:
        SetupError: the machine does not see the folders, or has other versions of the libraries.
    """
    with Child() as child:
        return guarded(child, _Checked(work), task)


class _Checked:
    """Work that is done only where the folders and the libraries are those of the command's machine."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, task: ShardTask) -> ShardInfo:
        host = platform.node()
        for folder in (task.root, task.out):
            if not folder.is_dir():
                raise SetupError(
                    f"the worker on {host} does not see {folder}", "mount it at the same place on all machines"
                )
        mine = pixel_versions()
        differ = [f"{k} {mine.get(k)} against {v}" for k, v in task.stamp.versions.items() if mine.get(k) != v]
        if differ:
            raise SetupError(
                f"the worker on {host} has other versions than this machine: {', '.join(differ)}",
                "install the same versions everywhere: the shards' bytes depend on them",
            )
        return self._work(task)


def require(engine: str) -> None:
    """Raise :class:`SetupError` unless the packages of an engine are installed."""
    for package in _PACKAGES.get(engine, ()):
        if find_spec(package) is None:
            raise _absent(engine)


def _imported(engine: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise _absent(engine) from error


def _absent(engine: str) -> SetupError:
    return SetupError(
        f"--engine {engine} needs {' and '.join(_PACKAGES[engine])}, not installed here",
        f'pip install "deepfake-dfbench[{engine}]", or use --engine local',
    )


def _unreachable(what: str, address: str, example: str) -> SetupError:
    return SetupError(f"no {what} answers at {address}", f"check that it runs, and --address (for example {example})")
