"""The recipe's optimiser; biases may learn at a rate of their own, as in Caffe's solvers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from dfbench.errors import ModelError
from dfbench.training.recipe import FullRecipe

FACTOR = "lr_factor"
"""Key of a parameter group: its multiple of the learning rate."""


def make_optimizer(model: nn.Module, recipe: FullRecipe) -> torch.optim.Optimizer:
    """The optimiser over the parameters that are trained.

    Raises:
        ModelError: there are none.
    """
    biases = {id(m.bias) for m in model.modules() if isinstance(m, nn.Linear | _ConvNd) and m.bias is not None}
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ModelError("the detector has no parameters to train", "evaluate it as it comes: dfbench evaluate --model")
    own = recipe.bias_lr_factor != 1.0 or not recipe.bias_weight_decay
    groups = [{"params": [p for p in trained if not own or id(p) not in biases], FACTOR: 1.0}]
    if own:
        decay = recipe.weight_decay if recipe.bias_weight_decay else 0.0
        chosen = [p for p in trained if id(p) in biases]
        groups.append({"params": chosen, FACTOR: recipe.bias_lr_factor, "weight_decay": decay})
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, in its proportion."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[FACTOR]
