"""Residual extractors that precede a classifier (Table II of GRnet): fixed filters, the constrained convolution, AMTEN.

All take RGB with values from 0 to 255, N,3,H,W, and compute in float32 under mixed precision as well, since residuals
are small differences of large numbers. Kernels of fixed filters are not stored in weight files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import ModelError, unknown_name
from reference_models.grnet.residual import guided_residual

_KV = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))
_SQUARE = ((0, 0, 0, 0, 0), (0, -1, 2, -1, 0), (0, 2, -4, 2, 0), (0, -1, 2, -1, 0), (0, 0, 0, 0, 0))
_LINE = ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 1, -2, 1, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0))


def srm_kernels() -> Tensor:
    """Return KV / 12, second-order square / 4 and second-order line / 2; (3, 5, 5) float32, each with sum 0.

    Order and scale are those of the noise stream of RGB-N (Zhou et al., CVPR 2018).
    """
    kernels = torch.tensor([_KV, _SQUARE, _LINE], dtype=torch.float32)
    return kernels / torch.tensor([12.0, 4.0, 2.0]).view(3, 1, 1)


PADDINGS = ("reflect", "zeros")
"""Borders of fixed filters. Zeros are a step of the height of the image: on natural images, 77 % of the variance of the
SRM residuals and 17 % of that of the high-pass residual then lie in the outer two pixels."""


class _FixedFilter(nn.Module):
    kernel: Tensor
    channels = 3
    groups = 1

    def __init__(self, kernel: Tensor, padding: str) -> None:
        super().__init__()
        if padding not in PADDINGS:
            raise unknown_name("padding", padding, PADDINGS)
        self.padding = padding
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W in 0-255, H and W at least 3 -> N,3,H,W."""
        with torch.autocast(images.device.type, enabled=False):
            planes = images.to(self.kernel.dtype)
            if self.padding == "reflect":
                return F.conv2d(F.pad(planes, (2, 2, 2, 2), mode="reflect"), self.kernel, groups=self.groups)
            return F.conv2d(planes, self.kernel, padding=2, groups=self.groups)


class HighPass(_FixedFilter):
    """The KV kernel / 12, applied to every colour channel separately.

    Args:
        padding: ``reflect``, the border continues by its mirror image without the outermost pixel; ``zeros``.
    """

    groups = 3

    def __init__(self, padding: str = "reflect") -> None:
        super().__init__(srm_kernels()[0].expand(3, 1, 5, 5).clone(), padding)


class SRM(_FixedFilter):
    """Output channel k is kernel k of :func:`srm_kernels`, summed over the three colour channels.

    Args:
        padding: as of :class:`HighPass`.
    """

    def __init__(self, padding: str = "reflect") -> None:
        super().__init__(srm_kernels()[:, None].expand(3, 3, 5, 5).clone(), padding)


class GuidedResidual(nn.Module):
    """GRnet's manipulation trace extractor with its default options, scaled to 0-255."""

    channels = 3

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W in 0-255 -> N,3,H,W, at least 0."""
        return guided_residual(images / 255.0, gain=255.0)


KERNEL = 5
_TOLERANCE = 1e-5


def constrain(weight: Tensor) -> Tensor:
    """Scale every slice so that its centre is -1 and the other weights sum to 1; (out, in, k, k) -> same, k odd.

    A slice that already satisfies the constraint is returned bit for bit, so the function is idempotent. If the
    weights around the centre sum to 0, no scaling satisfies the constraint, and each becomes 1 / (k * k - 1).

    >>> constrain(torch.ones(1, 1, 5, 5))[0, 0, 2].round(decimals=4).tolist()
    [0.0417..., 0.0417..., -1.0, 0.0417..., 0.0417...]

    Raises:
        ModelError: the kernel is not square with an odd side of at least 3.
    """
    side = weight.shape[-1]
    if weight.ndim != 4 or weight.shape[2] != side or side < 3 or side % 2 == 0:
        raise ModelError(f"the constraint needs kernels (out, in, k, k) with k odd and >= 3, got {tuple(weight.shape)}")
    centre = torch.zeros(side, side, dtype=torch.bool, device=weight.device)
    centre[side // 2, side // 2] = True
    around = weight.double().masked_fill(centre, 0.0)  # sums in float64: they decide whether anything changes
    total = around.sum(dim=(2, 3), keepdim=True)
    scale = around.abs().sum(dim=(2, 3), keepdim=True)
    unscalable = total.abs() <= 1e-12 * scale
    mean = torch.full_like(around, 1.0 / (side * side - 1))
    scaled = torch.where(unscalable, mean, around / torch.where(unscalable, 1.0, total))
    fits = (weight[..., side // 2, side // 2] == -1)[..., None, None] & (
        (total - 1.0).abs() <= _TOLERANCE * scale.clamp_min(1.0)
    )
    return torch.where(fits, weight, scaled.masked_fill(centre, -1.0).to(weight.dtype))


class ConstrainedConv(nn.Module):
    """The constrained 5x5 convolution of Bayar and Stamm (TIFS 2018); N,in,H,W -> N,out,H',W'.

    The stored weight itself is constrained: at the start of every training pass (so between any two updates, as
    published), on switching to evaluation, and before its state is read.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        padding: zero padding in pixels; 0 as published, 2 keeps the size.
        bias: keep the published bias, which is fixed at 0; it counts as a parameter but is not trained.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 3, *, padding: int = 0, bias: bool = False) -> None:
        super().__init__()
        self.channels = out_channels
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(out_channels), requires_grad=False) if bias else None
        caffe_xavier_(self.weight)
        self.enforce()
        self.register_state_dict_pre_hook(_enforce_before_saving)  # type: ignore[no-untyped-call]

    def enforce(self) -> None:
        """Apply the constraint to the stored weight."""
        # Through .data, so that autograd does not treat rewriting an unchanged weight as an in-place change.
        self.weight.data.copy_(constrain(self.weight.data))

    def train(self, mode: bool = True) -> ConstrainedConv:
        """Switch the mode; on switching to evaluation, apply the constraint to the stored weight."""
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


class AMTEN(nn.Module):
    """AMTEN, the adaptive manipulation trace extraction network (Guo et al., CVIU 2021), as its Caffe model defines it.

    Five convolutions without activation. ``conv1`` (bias fixed at 0) predicts the image; its error is the trace. Two
    pairs of convolutions process the trace, and each output is concatenated with its input: 3, then 6, then 12
    channels. 912 parameters, of which 3 are fixed.
    """

    channels = 12

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2_1 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv2_2 = nn.Conv2d(3, 3, 3, padding=1)
        self.conv3_1 = nn.Conv2d(6, 6, 3, padding=1)
        self.conv3_2 = nn.Conv2d(6, 6, 3, padding=1)
        for layer in (self.conv1, self.conv2_1, self.conv2_2, self.conv3_1, self.conv3_2):
            caffe_xavier_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if self.conv1.bias is not None:
            self.conv1.bias.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W in 0-255 -> N,12,H,W: the second reuse (6), the first (3), the trace (3)."""
        with torch.autocast(images.device.type, enabled=False):
            x = images.to(self.conv1.weight.dtype)
            trace = self.conv1(x) - x
            first = torch.cat((self.conv2_2(self.conv2_1(trace)), trace), dim=1)
            return torch.cat((self.conv3_2(self.conv3_1(first)), first), dim=1)


def caffe_xavier_(weight: Tensor) -> Tensor:
    """Initialise in place from the uniform distribution on +-sqrt(3 / fan-in), Caffe's ``xavier`` filler."""
    return nn.init.kaiming_uniform_(weight, nonlinearity="linear")


def pooled_size(size: int) -> int:
    """Return the side of a feature map after 3x3 pooling with stride 2, rounded up as in Caffe.

    >>> [pooled_size(n) for n in (128, 62, 29, 14, 7)]
    [64, 31, 14, 7, 3]
    """
    return max(0, -(-(size - 3) // 2) + 1)


def max_pool() -> nn.MaxPool2d:
    """Return 3x3 max pooling with stride 2 whose output size is rounded up, as in Caffe."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


EXTRACTORS: dict[str, Callable[[str], nn.Module]] = {
    "amten": lambda padding: AMTEN(),
    "constrained": lambda padding: ConstrainedConv(3, 3, padding=2),
    "high-pass": HighPass,
    "mte": lambda padding: GuidedResidual(),
    "srm": SRM,
}
"""Name -> constructor, given the padding of fixed filters."""


def make_extractor(name: str, padding: str = "reflect") -> tuple[nn.Module, int]:
    """Build an extractor by its name.

    Args:
        name: ``amten``, ``constrained``, ``high-pass``, ``mte`` or ``srm``.
        padding: of the fixed filters ``high-pass`` and ``srm``: ``reflect`` or ``zeros``.

    Returns:
        A module N,3,H,W in 0-255 -> N,C,H,W of the same height and width, and C.

    Raises:
        UsageError: the name or the padding is unknown.
    """
    if name not in EXTRACTORS:
        raise unknown_name("extractor", name, EXTRACTORS)
    if padding not in PADDINGS:
        raise unknown_name("padding", padding, PADDINGS)
    module = EXTRACTORS[name](padding)
    return module, int(module.channels)  # type: ignore[arg-type]
