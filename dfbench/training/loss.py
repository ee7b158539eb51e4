"""The training loss with class weights, for any detector and any loss that is a mean over samples."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.models.interface import loss_of


def balanced_weights(targets: Tensor, classes: int) -> Tensor:
    """Weight of every class, inverse to its number of samples, 1 on average over the samples.

    >>> balanced_weights(torch.tensor([0, 1, 1, 1]), 2).tolist()
    [2.0, 0.6666666865348816]
    """
    counts = torch.bincount(targets, minlength=classes).float()
    return len(targets) / ((counts > 0).sum() * counts.clamp_min(1.0))


def weighted_loss(model: nn.Module, output: Any, targets: Tensor, weights: Tensor | None) -> Tensor:
    """The detector's loss; with ``weights`` (C,), the weighted mean of its losses on the samples of each class.

    For a loss that is a mean over samples that is exactly the mean weighted sample by sample.

    Raises:
        ModelError: weights with an output that can not be divided by samples.
    """
    if weights is None:
        return loss_of(model, output, targets)
    numbers = sorted(set(targets.tolist()))
    chosen = [targets == number for number in numbers]
    shares = torch.stack([weights[n] * c.sum() for n, c in zip(numbers, chosen, strict=True)])
    losses = [loss_of(model, _take(output, c), targets[c]) for c in chosen]
    return (shares * torch.stack(losses)).sum() / shares.sum()


def _take(output: Any, chosen: Tensor) -> Any:
    """The chosen samples of an output whose tensor fields begin with the batch."""
    if not is_dataclass(output) or isinstance(output, type):
        raise ModelError(
            f"class weights need an output that is a tensor or a dataclass, not {type(output).__name__}",
            "return logits, or a dataclass of tensors; or use balanced sampling in place of class weights",
        )
    values = {f.name: getattr(output, f.name) for f in fields(output)}
    size = len(chosen)
    cut = {n: v[chosen] for n, v in values.items() if isinstance(v, Tensor) and v.ndim and len(v) == size}
    return replace(output, **cut)
