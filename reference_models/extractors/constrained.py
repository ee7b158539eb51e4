"""The constrained convolution of Bayar and Stamm (TIFS 2018): neighbours predict a pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError
from reference_models.extractors.caffe import caffe_xavier_

KERNEL = 5
_TOLERANCE = 1e-5


def constrain(weight: Tensor) -> Tensor:
    """Bring every slice to -1 at the centre and a sum of 1 around it, by dividing; (out, in, k, k) -> same, k odd.

    A slice that already fits is returned bit by bit, so applying it twice changes nothing. A slice whose
    surroundings sum to 0 has no multiple that fits and becomes the mean of the neighbours.

    >>> constrain(torch.ones(1, 1, 5, 5))[0, 0, 2].round(decimals=4).tolist()
    [0.0417..., 0.0417..., -1.0, 0.0417..., 0.0417...]

    Raises:
        ModelError: the kernel is not square with an odd side of at least 3.
    """
    side = weight.shape[-1]
    if weight.ndim != 4 or weight.shape[2] != side or side < 3 or side % 2 == 0:
        raise ModelError(f"the constraint is on kernels (out, in, k, k) with k odd and >= 3, not {tuple(weight.shape)}")
    centre = torch.zeros(side, side, dtype=torch.bool, device=weight.device)
    centre[side // 2, side // 2] = True
    around = weight.double().masked_fill(centre, 0.0)  # sums in float64: they decide whether anything changes
    total = around.sum(dim=(2, 3), keepdim=True)
    reach = around.abs().sum(dim=(2, 3), keepdim=True)
    hopeless = total.abs() <= 1e-12 * reach
    mean = torch.full_like(around, 1.0 / (side * side - 1))
    scaled = torch.where(hopeless, mean, around / torch.where(hopeless, 1.0, total))
    fits = (weight[..., side // 2, side // 2] == -1)[..., None, None] & (
        (total - 1.0).abs() <= _TOLERANCE * reach.clamp_min(1.0)
    )
    return torch.where(fits, weight, scaled.masked_fill(centre, -1.0).to(weight.dtype))


class ConstrainedConv(nn.Module):
    """A 5x5 convolution under the constraint; N,in,H,W -> N,out,H',W', in float32 under mixed precision too.

    The stored weight itself is brought back to the constraint: at the start of every training pass (so between any
    two updates, as published), on switching to evaluation, and before its state is read.

    Args:
        inside: input planes.
        outside: output planes.
        padding: pixels of zeros around; 0 as published, 2 keeps the size.
        bias: keep the published bias, which is fixed at 0; it counts as a parameter and never learns.
    """

    def __init__(self, inside: int = 3, outside: int = 3, *, padding: int = 0, bias: bool = False) -> None:
        super().__init__()
        self.channels = outside
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(outside, inside, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(outside), requires_grad=False) if bias else None
        caffe_xavier_(self.weight)
        self.enforce()
        self.register_state_dict_pre_hook(_enforce_before_saving)  # type: ignore[no-untyped-call]

    def enforce(self) -> None:
        """Bring the stored weight to the constraint."""
        # Through .data: autograd must not take the rewrite of an unchanged weight for a change between two passes.
        self.weight.data.copy_(constrain(self.weight.data))

    def train(self, mode: bool = True) -> ConstrainedConv:
        """Switch the mode; on switching to evaluation the last update is brought to the constraint."""
        if not mode:
            self.enforce()
        super().train(mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """N,in,H,W -> N,out,H',W'."""
        if self.training:
            self.enforce()
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images.to(self.weight.dtype), self.weight, self.bias, padding=self.padding)


def _enforce_before_saving(module: nn.Module, *_: Any) -> None:
    if isinstance(module, ConstrainedConv):
        module.enforce()
