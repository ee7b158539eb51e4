"""The network that is evaluated and stored in place of the one that is trained: a moving average of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfbench.models.interface import custom_code

if TYPE_CHECKING:
    from torch import Tensor, nn


def moving_average(detector: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of a detector that follows its weights by an exponential moving average.

    After the update n, counted from 1, the decay is at most (1 + n) / (10 + n), so that the initial weights do not
    dominate a short training (as TensorFlow's ``ExponentialMovingAverage``). Buffers are those of the detector.

    Args:
        detector: with its current weights.
        decay: in (0, 1).

    Raises:
        ModelError: the detector cannot be copied.
    """

    def update(averaged: tuple[Tensor, ...], current: tuple[Tensor, ...], number: Tensor | int) -> None:
        done = int(number)
        get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averaged, current, done)

    with custom_code("the detector cannot be copied for a moving average of its weights", "train without --ema-decay"):
        average = AveragedModel(detector, multi_avg_fn=update)
    average.requires_grad_(False)
    return average


def averaged_network(average: AveragedModel, detector: nn.Module) -> nn.Module:
    """Return the network with the averaged weights and the current buffers of the detector."""
    with torch.no_grad():
        for mine, current in zip(average.module.buffers(), detector.buffers(), strict=True):
            mine.copy_(current)
    network: nn.Module = average.module
    return network
