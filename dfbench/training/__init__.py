"""Train a detector by a protocol's recipe on Lightning: sampling, augmentation, selection on validation data, resuming.

:func:`dfbench.train` resolves a plan and executes it. The names below are loaded on first use; torch is loaded when a
training runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from dfbench.manifest.similarities import SimilarityOrigin as SimilarityOrigin
    from dfbench.training.images import EpochDataset as EpochDataset
    from dfbench.training.images import ImagesRequest as ImagesRequest
    from dfbench.training.images import LoadedImages as LoadedImages
    from dfbench.training.images import MethodImages as MethodImages
    from dfbench.training.images import read_crops as read_crops
    from dfbench.training.methods import TrainingMethod as TrainingMethod
    from dfbench.training.methods import TrainingRequest as TrainingRequest
    from dfbench.training.optimization import supervised_step as supervised_step
    from dfbench.training.plan import TrainingPlan as TrainingPlan
    from dfbench.training.recipe import FullRecipe as FullRecipe
    from dfbench.training.recipe import RecipeValues as RecipeValues
    from dfbench.training.sbi.images import self_blended_images as self_blended_images
    from dfbench.training.sharpness import SharpnessAwareStep as SharpnessAwareStep
    from dfbench.training.similarities import TripleSimilarities as TripleSimilarities
    from dfbench.training.similarities import triple_similarities as triple_similarities
    from dfbench.training.steps import Batch as Batch
    from dfbench.training.steps import StepResult as StepResult
    from dfbench.training.steps import TrainingStep as TrainingStep
    from dfbench.training.train import run_training as run_training
    from dfbench.training.triples import TripleImages as TripleImages
    from dfbench.training.triples import triple_images as triple_images

_LAZY = {
    "Batch": "dfbench.training.steps",
    "EpochDataset": "dfbench.training.images",
    "FullRecipe": "dfbench.training.recipe",
    "ImagesRequest": "dfbench.training.images",
    "LoadedImages": "dfbench.training.images",
    "MethodImages": "dfbench.training.images",
    "RecipeValues": "dfbench.training.recipe",
    "SharpnessAwareStep": "dfbench.training.sharpness",
    "SimilarityOrigin": "dfbench.manifest.similarities",
    "StepResult": "dfbench.training.steps",
    "TrainingMethod": "dfbench.training.methods",
    "TrainingPlan": "dfbench.training.plan",
    "TrainingRequest": "dfbench.training.methods",
    "TrainingStep": "dfbench.training.steps",
    "TripleImages": "dfbench.training.triples",
    "TripleSimilarities": "dfbench.training.similarities",
    "read_crops": "dfbench.training.images",
    "run_training": "dfbench.training.train",
    "self_blended_images": "dfbench.training.sbi.images",
    "supervised_step": "dfbench.training.optimization",
    "triple_images": "dfbench.training.triples",
    "triple_similarities": "dfbench.training.similarities",
}

__all__ = [
    "Batch",
    "EpochDataset",
    "FullRecipe",
    "ImagesRequest",
    "LoadedImages",
    "MethodImages",
    "RecipeValues",
    "SharpnessAwareStep",
    "SimilarityOrigin",
    "StepResult",
    "TrainingMethod",
    "TrainingPlan",
    "TrainingRequest",
    "TrainingStep",
    "TripleImages",
    "TripleSimilarities",
    "read_crops",
    "run_training",
    "self_blended_images",
    "supervised_step",
    "triple_images",
    "triple_similarities",
]

__getattr__ = lazy_attributes(__name__, _LAZY)
