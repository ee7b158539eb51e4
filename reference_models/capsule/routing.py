"""Squash and dynamic routing of Capsule-Forensics v2."""

from __future__ import annotations

import torch
from torch import Tensor, nn

OUT_DIMENSION = 4
ITERATIONS = 2
_EPSILON = 1e-12  # the published form computes 0/0 for an empty capsule


def squash(vectors: Tensor, dim: int) -> Tensor:
    """Scale vectors of length n to length n^2 / (1 + n^2); zeros stay zeros, with a finite gradient.

    >>> squash(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), dim=1).round(decimals=4).tolist()
    [[0.5769..., 0.7692...], [0.0, 0.0]]
    """
    square = (vectors * vectors).sum(dim=dim, keepdim=True)
    return vectors * (square / (1.0 + square)) / torch.sqrt(square + _EPSILON)


class Routing(nn.Module):
    """Dynamic routing from the primary capsules to one capsule of 4 components per class, as published.

    During training, Gaussian noise is added to the weights, and a fraction of the predictions is set to 0 without
    rescaling the rest. Computed in float32 under mixed precision.

    Args:
        capsules: number of primary capsules.
        dimension: components of each.
        num_classes: output capsules.
        noise: standard deviation of the noise on the weights.
        dropout: probability that a component of a prediction is dropped.
    """

    def __init__(self, capsules: int, dimension: int, num_classes: int, noise: float, dropout: float) -> None:
        super().__init__()
        self.noise, self.dropout = noise, dropout
        self.route_weights = nn.Parameter(torch.randn(num_classes, capsules, OUT_DIMENSION, dimension))

    def forward(self, primary: Tensor) -> Tensor:
        """N, dimension, capsules -> N, 4, classes."""
        with torch.autocast(primary.device.type, enabled=False):
            weights: Tensor = self.route_weights
            inputs = primary.to(weights.dtype).transpose(1, 2)
            if self.training and self.noise > 0:
                weights = weights + self.noise * torch.randn_like(weights)
            # n: image, c: class, i: primary capsule, o: output component, d: input component
            priors = torch.einsum("ciod,nid->ncio", weights, inputs)
            if self.training and self.dropout > 0:
                priors = priors * torch.bernoulli(torch.full_like(priors, 1.0 - self.dropout))
            agreement = torch.zeros_like(priors)
            output = priors
            for step in range(ITERATIONS):
                coupling = torch.softmax(agreement, dim=2)
                output = squash((coupling * priors).sum(dim=2, keepdim=True), dim=3)
                if step < ITERATIONS - 1:
                    agreement = agreement + priors * output
            return output.squeeze(2).transpose(1, 2)
