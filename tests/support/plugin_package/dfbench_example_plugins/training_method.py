"""A training method: how a batch becomes a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench.errors import UsageError
from dfbench.training import Batch, StepResult, TrainingMethod, TrainingRequest

if TYPE_CHECKING:
    from torch import nn


def step(model: nn.Module, batch: Batch, *, alpha: float) -> StepResult:
    """Mix every image with another one of the batch, and the losses on both targets alike."""
    import torch
    from torch.nn import functional

    weight = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(batch.targets), device=batch.targets.device)
    output = model(weight * batch.images + (1 - weight) * batch.images[other])
    first = functional.cross_entropy(output.logits, batch.targets)
    second = functional.cross_entropy(output.logits, batch.targets[other])
    return StepResult(weight * first + (1 - weight) * second, output)


def check(request: TrainingRequest) -> None:
    """Refuse what the method cannot do, before anything is read or made."""
    if request.options["alpha"] <= 0:
        raise UsageError(f"alpha must be above 0, not {request.options['alpha']}", "the default is 0.2")


MIXUP = TrainingMethod(
    "example-method", "mixup of images and losses, Beta(alpha, alpha)", step, options={"alpha": 0.2}, check=check
)
