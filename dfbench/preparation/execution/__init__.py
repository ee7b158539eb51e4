"""Execution: run a shard plan in worker processes or on a cluster, retry after crashes, resume finished shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.preparation.execution.engine import ENGINES as ENGINES
    from dfbench.preparation.execution.engine import Workers as Workers
    from dfbench.preparation.execution.engine import check_engine as check_engine
    from dfbench.preparation.execution.engine import worker_count as worker_count
    from dfbench.preparation.execution.run import finished_shards as finished_shards
    from dfbench.preparation.execution.run import run_plan as run_plan

_LAZY = {
    "ENGINES": "dfbench.preparation.execution.engine",
    "Workers": "dfbench.preparation.execution.engine",
    "check_engine": "dfbench.preparation.execution.engine",
    "finished_shards": "dfbench.preparation.execution.run",
    "run_plan": "dfbench.preparation.execution.run",
    "worker_count": "dfbench.preparation.execution.engine",
}

__all__ = ["ENGINES", "Workers", "check_engine", "finished_shards", "run_plan", "worker_count"]

__getattr__ = lazy_attributes(__name__, _LAZY)
