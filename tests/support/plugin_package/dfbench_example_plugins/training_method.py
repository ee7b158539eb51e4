"""A training method: how a batch becomes a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench.training import Batch, StepResult, TrainingMethod

if TYPE_CHECKING:
    from torch import nn


def step(model: nn.Module, batch: Batch) -> StepResult:
    """Mix every image with another one of the batch, and the losses on both targets alike."""
    import torch
    from torch.nn import functional

    weight = float(torch.distributions.Beta(0.2, 0.2).sample())
    other = torch.randperm(len(batch.targets), device=batch.targets.device)
    output = model(weight * batch.images + (1 - weight) * batch.images[other])
    first = functional.cross_entropy(output.logits, batch.targets)
    second = functional.cross_entropy(output.logits, batch.targets[other])
    return StepResult(weight * first + (1 - weight) * second, output)


MIXUP = TrainingMethod("example-method", "mixup of images and losses, Beta(0.2, 0.2)", step)
