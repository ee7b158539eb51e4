"""By what an explanation reconstructs faces: the weights that a training method kept, and what their card tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfbench.errors import ModelError, UsageError
from dfbench.evaluation.plan import EvaluationPlan
from dfbench.explain.reconstruction import ReconstructionPlan
from dfbench.models.card import WeightCard, method_path
from dfbench.models.files import check_file
from dfbench.models.interface import custom_code
from dfbench.training.methods import TRAINING_METHODS, TrainingMethod

STEPS = 50
"""Steps of the sampler where none are given."""


def planned_reconstruction(
    evaluation: EvaluationPlan, given: Mapping[str, Any], steps: int | None
) -> ReconstructionPlan:
    """Check that weights come with what reconstructs faces; torch is not needed.

    Args:
        evaluation: with the weights of the detector.
        given: options of the training method: folders, which cards name without their path.
        steps: of the sampler; None: :data:`STEPS`.

    Raises:
        UsageError: the method does not reconstruct faces, an option is unknown or not that of the training, or the
            number of steps is out of range.
        ModelError: there are no weights, or those of the method are missing, damaged or of another training.
    """
    card, weights = evaluation.card, evaluation.weights
    if card is None or weights is None:
        raise ModelError(
            "faces are reconstructed by weights that a training method has kept, and there are no trained weights",
            "train with a method that keeps them: dfbench train --method diffusionfake --method-option keep=true",
        )
    method = _method_of(card)
    how = method.reconstruction if method is not None else None
    if method is None or how is None:
        raise UsageError(
            f"the weights {weights} were trained by the method {card.training_method!r}, which reconstructs no faces",
            "drop --reconstruct, or pass weights trained by a method that does, as diffusionfake",
        )
    version = card.recipe.get("method_version")
    if version != method.version:
        raise ModelError(
            f"the weights {weights} were trained by version {version} of the method {method.name!r}, this is version "
            f"{method.version}",
            "train again, or use the dfbench that trained them",
        )
    if card.method_weights is None:
        raise ModelError(
            f"the training of {weights} has not kept the weights of its method, which reconstruct the faces",
            "train again with --method-option keep=true",
        )
    file = method_path(weights)
    if not file.is_file():
        raise ModelError(
            f"the weights {weights} have no {file.name} in the same folder, which their card names",
            "copy it along with weights and card, or train again with --method-option keep=true",
        )
    check_file(file, card.method_weights)
    options = _options(method, card, given)
    number = STEPS if steps is None else steps
    with custom_code(f"the training method {method.name!r} cannot check its request", "see docs/plugins.md"):
        caution = how.check(options, number)
    record: Mapping[str, Any] = card.recipe.get("method_record") or {}
    return ReconstructionPlan(method.name, how, file, card.method_weights.sha256, options, record, number, caution)


def _method_of(card: WeightCard) -> TrainingMethod | None:
    return TRAINING_METHODS.get(card.training_method) if card.training_method in TRAINING_METHODS.names() else None


def _options(method: TrainingMethod, card: WeightCard, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options of the training, with folders as they are now."""
    changed = method.with_options(given)
    for name in given:
        if name not in method.folders:
            raise UsageError(
                f"the option {name} of the method {method.name} is that of the training and cannot be changed",
                f"options that can be given: {', '.join(method.folders)}",
            )
    trained = {name: value for name, value in card.method_options.items() if name in method.options}
    return {name: given.get(name, trained.get(name, value)) for name, value in changed.options.items()}
