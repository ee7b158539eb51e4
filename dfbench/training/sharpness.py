"""Sharpness-aware minimisation: the gradient is taken where the loss near the weights is largest.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021. With the gradient
``g`` of the loss at the weights ``w``, the step uses the gradient at ``w + rho * g / |g|``; it costs two forward and
two backward passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.explain.gradients import half_scale
from dfbench.training.optimization import supervised_step
from dfbench.training.steps import Batch, Step, StepResult

__all__ = ["RHO", "SharpnessAwareStep"]

RHO = 0.05


class SharpnessAwareStep:
    """Another step, made sharpness-aware; see :class:`dfbench.training.steps.TrainingStep`.

    The first pass takes its gradient apart from those of the parameters, and moves the weights; the second gives the
    loss. After its backward pass the weights are restored bit by bit, so that the optimiser moves the original ones.
    When gradients are accumulated, or several devices share a batch, every part moves the weights by its own gradient.
    Both passes update the statistics of batch norms, as in the published code of self-blended images, and draw their
    own random numbers. In float16 the loss of the first pass is scaled before its gradient is taken, as small gradients
    would become 0.

    Args:
        step: makes a loss from a batch; by default the detector's own. It is called twice with the same batch: what
            draws or blends images belongs before this step, not into it.
        rho: Euclidean length of the move over all trained parameters together; 0: there is no first pass.
    """

    def __init__(self, step: Step = supervised_step, rho: float = RHO) -> None:
        self.step = step
        self.rho = rho
        self._weights: list[tuple[nn.Parameter, Tensor]] = []

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Do nothing."""

    def __call__(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Move the weights and return the loss there; :meth:`after_backward` restores them.

        Where the first gradient is zero or not finite, the weights are not moved.
        """
        self._restore()
        if not self.rho:
            return self.step(detector, batch)
        trained = [p for p in detector.parameters() if p.requires_grad]
        loss = self.step(detector, batch).loss
        # The length of the gradient, and with it the scale, has no effect on the move.
        gradients = torch.autograd.grad(loss * half_scale(loss.device), trained, allow_unused=True)
        pairs = [(p, g) for p, g in zip(trained, gradients, strict=True) if g is not None]
        if pairs:
            length = torch.stack([g.detach().double().norm() for _, g in pairs]).norm()
            if torch.isfinite(length) and length > 0:
                self._move(pairs, self.rho / float(length))
        try:
            return self.step(detector, batch)
        except BaseException:
            self._restore()
            raise

    def _move(self, pairs: list[tuple[nn.Parameter, Tensor]], factor: float) -> None:
        with torch.no_grad():
            for parameter, gradient in pairs:
                self._weights.append((parameter, parameter.detach().clone()))
                parameter.add_(gradient, alpha=factor)

    def _restore(self) -> None:
        with torch.no_grad():
            for parameter, value in self._weights:
                parameter.copy_(value)
        self._weights = []

    def after_backward(self, detector: nn.Module) -> None:
        """Restore the weights."""
        self._restore()

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: no state outlasts a batch."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Do nothing."""
