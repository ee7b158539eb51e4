"""The cost of a detector in multiply-adds, and the number of training samples that a budget of them pays for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dfbench.models.interface import evaluation_mode
from dfbench.training.recipe import FullRecipe

if TYPE_CHECKING:
    from torch import nn


def multiply_adds(network: nn.Module, size: int) -> int:
    """Return the multiply-adds of convolutions and matrix products for one image of ``size`` x ``size`` pixels.

    They are counted by PyTorch's flop counter, in evaluation mode on the CPU; filters and other operations between
    them are not counted. The random state and the training mode are left as they were.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with evaluation_mode(network), torch.random.fork_rng(devices=[]), torch.no_grad(), counter:
        network(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops()) // 2


def within_budget(recipe: FullRecipe, network: nn.Module, size: int) -> FullRecipe:
    """Return the recipe with the number of samples of an epoch that its budget of multiply-adds pays for.

    It is a whole number of optimiser steps, at least one, and at most the recipe's own ``samples_per_epoch``.

    Args:
        recipe: with ``compute``, the multiply-adds of one forward pass of every training sample of all epochs; without
            it the recipe is returned as it is.
        network: on the CPU.
        size: crop size in pixels.
    """
    if recipe.compute is None:
        return recipe
    step = recipe.batch_size * recipe.accumulate
    affordable = recipe.compute / max(1, multiply_adds(network, size)) / recipe.epochs
    steps = max(1, int(affordable // step))
    most = recipe.samples_per_epoch
    return replace(recipe, samples_per_epoch=steps * step if most is None else min(steps * step, most))
