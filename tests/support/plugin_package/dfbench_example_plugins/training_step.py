"""A training method with several passes and a state of its own: sharpness-aware minimisation (Foret et al., 2021).

The gradient is taken where the loss is largest in the neighbourhood of the weights. Its radius grows over the first
batches: their number is the state.
"""

from __future__ import annotations

import torch
from torch import nn

from dfbench.training import Batch, StepResult, TrainingMethod, supervised_step

RADIUS, WARM_UP = 0.05, 10


class SharpnessAware(nn.Module):
    """The steps of one training."""

    batches: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.before: list[tuple[nn.Parameter, torch.Tensor]] = []

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Nothing changes with the epochs."""

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Move the weights uphill along the gradient of a first pass, and return the loss of a second one."""
        weights = [parameter for parameter in detector.parameters() if parameter.requires_grad]
        first = supervised_step(detector, batch)
        slopes = torch.autograd.grad(first.loss, weights, allow_unused=True)
        self.before = [(w, w.detach().clone()) for w, slope in zip(weights, slopes, strict=True) if slope is not None]
        moves = [slope for slope in slopes if slope is not None]
        length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(move) for move in moves]))
        self.batches += 1
        radius = RADIUS * min(1.0, int(self.batches) / WARM_UP)
        with torch.no_grad():
            for (weight, _), move in zip(self.before, moves, strict=True):
                weight.add_(move * (radius / (length + 1e-12)))
        return supervised_step(detector, batch)

    def after_backward(self, detector: nn.Module) -> None:
        """Move the weights back; the optimiser uses the gradient of the second pass."""
        with torch.no_grad():
            for weight, value in self.before:
                weight.copy_(value)


SAM = TrainingMethod("example-sam", "sharpness-aware minimisation", make=lambda detector: SharpnessAware())
