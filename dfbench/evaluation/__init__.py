"""Evaluate a detector: a protocol's test samples to scores, metrics and example crops in one run folder.

:func:`dfbench.evaluate` resolves a plan and executes it. The names below are loaded on first use; torch is loaded when
an evaluation runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.evaluation.evaluate import run_evaluation as run_evaluation
    from dfbench.evaluation.plan import EvaluationPlan as EvaluationPlan
    from dfbench.evaluation.run import Run as Run
    from dfbench.evaluation.run import open_run as open_run

_LAZY = {
    "EvaluationPlan": "dfbench.evaluation.plan",
    "Run": "dfbench.evaluation.run",
    "open_run": "dfbench.evaluation.run",
    "run_evaluation": "dfbench.evaluation.evaluate",
}

__all__ = ["EvaluationPlan", "Run", "open_run", "run_evaluation"]

__getattr__ = lazy_attributes(__name__, _LAZY)
