"""The network that is evaluated and stored: a moving average of the weights, batch-norm statistics of training data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfbench.models.interface import custom_code


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
    with_decay: Any = get_ema_multi_avg_fn

    def update(averaged: Any, current: Any, number: Tensor | int) -> None:
        done = int(number)
        with_decay(min(decay, (1 + done) / (10 + done)))(averaged, current, done)

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


def trained_batch_norms(detector: nn.Module) -> tuple[str, ...]:
    """Return the names of the batch-norm layers whose running statistics training updates.

    Layers that a detector keeps in evaluation mode while it is trained are frozen, and do not belong to them.

    Args:
        detector: in training mode.
    """
    return tuple(
        name
        for name, layer in detector.named_modules()
        if isinstance(layer, _BatchNorm) and layer.training and layer.running_mean is not None
    )


@contextmanager
def estimated_statistics(network: nn.Module, layers: Sequence[str], batches: Iterable[Tensor]) -> Iterator[None]:
    """Replace running batch-norm statistics by those of the given batches, and restore them afterwards.

    Running averages lag behind the weights, the more the fewer steps a training has and the smaller the momentum. Here
    each layer gets the mean of the batch statistics under the current weights (precise batch norm: Wu and Johnson,
    "Rethinking Batch in BatchNorm", 2021). Unlike ``torch.optim.swa_utils.update_bn`` this leaves frozen layers alone,
    and dropout is off as in an evaluation.

    Args:
        network: the network.
        layers: names of its batch-norm layers.
        batches: inputs of the network, at least one.
    """
    norms = [layer for name, layer in network.named_modules() if name in set(layers) and isinstance(layer, _BatchNorm)]
    kept = [[buffer.clone() for buffer in norm.buffers()] for norm in norms]
    momenta = [norm.momentum for norm in norms]
    was_training = network.training
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    try:
        with torch.no_grad():
            for images in batches if norms else ():
                network(images)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
        yield
    finally:
        for norm, momentum, buffers in zip(norms, momenta, kept, strict=True):
            norm.momentum = momentum
            for buffer, before in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(before)
        network.train(was_training)
