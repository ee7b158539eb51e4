"""The optimiser and the training loss, for any detector and any loss that is a mean over samples."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from dfbench.errors import ModelError
from dfbench.models.interface import loss_of
from dfbench.training.recipe import FullRecipe
from dfbench.training.steps import Batch, StepResult

FACTOR = "lr_factor"
"""Key of a parameter group: its multiple of the learning rate."""


def make_optimizer(model: nn.Module, recipe: FullRecipe, *, fused: bool = True) -> torch.optim.Optimizer:
    """Return the optimiser over the trained parameters; biases may have their own learning rate, as in Caffe.

    Args:
        model: its parameters that require a gradient are trained.
        recipe: the recipe.
        fused: use PyTorch's fused kernels, which update real parameters in one pass over memory: on a CPU about six
            times as fast for Adam. Lightning cannot clip gradients for them in float16.

    Raises:
        ModelError: no parameter is trained.
    """
    biases = {id(m.bias) for m in model.modules() if isinstance(m, nn.Linear | _ConvNd) and m.bias is not None}
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ModelError("the detector has no parameters to train", "evaluate it: dfbench evaluate --model M")
    own = recipe.bias_lr_factor != 1.0 or not recipe.bias_weight_decay
    groups = [{"params": [p for p in trained if not own or id(p) not in biases], FACTOR: 1.0}]
    if own:
        decay = recipe.weight_decay if recipe.bias_weight_decay else 0.0
        chosen = [p for p in trained if id(p) in biases]
        groups.append({"params": chosen, FACTOR: recipe.bias_lr_factor, "weight_decay": decay})
    groups = [group for group in groups if group["params"]]
    common: dict[str, Any] = {
        "lr": recipe.lr,
        "weight_decay": recipe.weight_decay,
        "fused": fused and not any(map(torch.is_complex, trained)),
    }
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.momentum, **common)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=recipe.betas, **common)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]


def balanced_weights(targets: Tensor, classes: int) -> Tensor:
    """Return the weight of every class: inverse to its number of samples, 1 on average over the samples.

    >>> balanced_weights(torch.tensor([0, 1, 1, 1]), 2).tolist()
    [2.0, 0.6666666865348816]
    """
    counts = torch.bincount(targets, minlength=classes).float()
    return len(targets) / ((counts > 0).sum() * counts.clamp_min(1.0))


def weighted_loss(model: nn.Module, output: Any, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Return the detector's loss; with ``weights`` (C,), the weighted mean of its losses on the samples of each class.

    For a loss that is a mean over samples this equals the mean with a weight for each sample.

    Raises:
        ModelError: weights are given and the output cannot be split by samples.
    """
    if weights is None:
        return loss_of(model, output, targets)
    numbers = sorted(set(targets.tolist()))
    chosen = [targets == number for number in numbers]
    totals = torch.stack([weights[n] * c.sum() for n, c in zip(numbers, chosen, strict=True)])
    losses = [loss_of(model, _take(output, c), targets[c]) for c in chosen]
    return (totals * torch.stack(losses)).sum() / totals.sum()


def _take(output: Any, chosen: Tensor) -> Any:
    """The chosen samples of an output whose tensor fields begin with the batch."""
    if not is_dataclass(output) or isinstance(output, type):
        raise ModelError(
            f"class weights need an output that is a tensor or a dataclass, not {type(output).__name__}",
            "return logits or a dataclass of tensors, or use balanced sampling in place of class weights",
        )
    values = {f.name: getattr(output, f.name) for f in fields(output)}
    size = len(chosen)
    cut = {n: v[chosen] for n, v in values.items() if isinstance(v, Tensor) and v.ndim and len(v) == size}
    return replace(output, **cut)


def supervised_step(model: nn.Module, batch: Batch) -> StepResult:
    """Run the detector on the batch and take its loss; the step of the training method ``supervised``."""
    output = model(batch.images)
    weights = batch.class_weights
    return StepResult(weighted_loss(model, output, batch.targets, weights), output, class_weighted=weights is not None)
