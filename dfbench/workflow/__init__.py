"""Resolve a request into a frozen plan, and run plans. The command line and Python both go through this module.

``resolve_preparation``, ``resolve_training``, ``resolve_evaluation`` and ``resolve_explanation`` check everything once,
before any work: names, options, manifests, weights, conditions, device, output location. They do not import torch for
registered detectors.
Steps that must come first, as preparing mini or training on it, are part of the plan.
"""

from __future__ import annotations

from dfbench.preparation.prepare import prepare, resolve_preparation
from dfbench.workflow.evaluation import EvaluationWorkflow, evaluate, resolve_evaluation
from dfbench.workflow.explanation import ExplanationWorkflow, explain_detector, resolve_explanation
from dfbench.workflow.training import TrainingWorkflow, resolve_training, train

__all__ = [
    "EvaluationWorkflow",
    "ExplanationWorkflow",
    "TrainingWorkflow",
    "evaluate",
    "explain_detector",
    "prepare",
    "resolve_evaluation",
    "resolve_explanation",
    "resolve_preparation",
    "resolve_training",
    "train",
]
