"""The regional independence loss: every attention map keeps to one region, with a feature centre of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Margins:
    """Distances of the regional independence loss.

    Attributes:
        between: least distance of two centres.
        real: largest distance of the features of a real image from the centres.
        fake: the same for fakes; negative with the form ``v2``: the least distance is its absolute value.
        squared: distances are squared.
    """

    between: float = 0.8
    real: float = 0.2
    fake: float = -0.8
    squared: bool = False


def regional_independence(
    regions: Tensor, centres: Tensor, fake: Tensor, alpha: Tensor | float, margins: Margins, form: str = "v2"
) -> tuple[Tensor, Tensor]:
    """Return the loss of a batch and the centres that it moves.

    Form ``v2``, of the released weights: real images alone move the centres, the fakes count in the mean; the distance
    is that of all maps together; the loss between centres is divided by the number of maps and by ``alpha``. Form
    ``v1``, the earlier one, with the margins of the paper: all images move the centres, every map has a distance of its
    own, and nothing is divided.

    Args:
        regions: N,M,K, a vector of length 1 for every map.
        centres: M,K.
        fake: bool (N,).
        alpha: share of the way from the centres to the mean of the batch, above 0.
        margins: distances.
        form: ``v2`` or ``v1``.

    Returns:
        A scalar, a mean over the images; M,K, with gradient: the features move the centres.
    """
    away = regions - centres
    if form == "v2":
        away = away * (~fake)[:, None, None]
    moved = centres + alpha * away.mean(dim=0)
    limit = torch.where(fake, regions.new_tensor(margins.fake), regions.new_tensor(margins.real))
    offsets = regions - moved
    if form == "v2":
        within = F.relu(limit.sign() * _length(offsets.flatten(1), margins.squared) - limit)
    else:
        within = F.relu(_length(offsets, margins.squared) - limit[:, None])
    first, second = torch.triu_indices(len(moved), len(moved), offset=1, device=moved.device)
    between = F.relu(margins.between - _length(moved[first] - moved[second], margins.squared)).sum()
    if form == "v2":
        between = between / (len(moved) * alpha)
    return within.mean() + between, moved


def _length(vectors: Tensor, squared: bool) -> Tensor:
    """Return the lengths along the last dimension; the gradient at 0 is 0."""
    return vectors.square().sum(dim=-1) if squared else torch.linalg.vector_norm(vectors, dim=-1)


class RegionalIndependence(nn.Module):
    """:func:`regional_independence` with its centres, which start at 0, and their rate, as buffers.

    Args:
        maps: M.
        channels: K.
        alpha: initial rate.
        margins: distances.
        form: ``v2`` or ``v1``.
    """

    centres: Tensor
    alpha: Tensor

    def __init__(self, maps: int, channels: int, alpha: float, margins: Margins, form: str) -> None:
        super().__init__()
        self.margins, self.form = margins, form
        self.register_buffer("centres", torch.zeros(maps, channels))
        self.register_buffer("alpha", torch.tensor(alpha))

    def forward(self, regions: Tensor, fake: Tensor) -> Tensor:
        """N,M,K and bool (N,) -> the loss of a batch; in training mode it moves the centres.

        With several devices the centres are the means of those that the devices' parts give.
        """
        loss, moved = regional_independence(
            regions, self.centres.clone(), fake, self.alpha.clone(), self.margins, self.form
        )
        if self.training:
            self.centres.copy_(_mean_over_devices(moved.detach()))
        return loss

    def decay(self, factor: float) -> None:
        """Multiply the rate of the centres by a factor."""
        self.alpha.mul_(factor)


def _mean_over_devices(tensor: Tensor) -> Tensor:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        tensor = tensor.clone()
        torch.distributed.all_reduce(tensor)
        tensor /= torch.distributed.get_world_size()
    return tensor
