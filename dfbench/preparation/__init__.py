"""From a data set's tree to a manifest of face crops, and manifests made from manifests.

``planning`` turns a request into a recipe, shards and an estimate; ``extraction`` turns one clip into rows;
``execution`` runs shards on workers and resumes; ``derived`` makes manifests from manifests. ``prepare`` puts them
together. The names below are loaded on first use; :func:`dfbench.prepare` is the usual entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.preparation.derived.degrade import degrade as degrade
    from dfbench.preparation.derived.merge import merge as merge
    from dfbench.preparation.derived.recrop import recrop as recrop
    from dfbench.preparation.derived.upgrade import upgrade as upgrade
    from dfbench.preparation.planning.options import PreparationRequest as PreparationRequest
    from dfbench.preparation.planning.recipe import PreparationRecipe as PreparationRecipe
    from dfbench.preparation.prepare import PreparationPlan as PreparationPlan
    from dfbench.preparation.prepare import plan_preparation as plan_preparation
    from dfbench.preparation.prepare import resolve_preparation as resolve_preparation

_LAZY = {
    "PreparationPlan": "dfbench.preparation.prepare",
    "PreparationRecipe": "dfbench.preparation.planning.recipe",
    "PreparationRequest": "dfbench.preparation.planning.options",
    "degrade": "dfbench.preparation.derived.degrade",
    "merge": "dfbench.preparation.derived.merge",
    "plan_preparation": "dfbench.preparation.prepare",
    "recrop": "dfbench.preparation.derived.recrop",
    "resolve_preparation": "dfbench.preparation.prepare",
    "upgrade": "dfbench.preparation.derived.upgrade",
}

__all__ = [
    "PreparationPlan",
    "PreparationRecipe",
    "PreparationRequest",
    "degrade",
    "merge",
    "plan_preparation",
    "recrop",
    "resolve_preparation",
    "upgrade",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
