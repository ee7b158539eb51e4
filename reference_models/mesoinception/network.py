"""MesoInception-4 as published: Meso-4 with two inception blocks instead of the first convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_models.meso.network import Meso4

BLOCKS = ((3, (1, 4, 4, 2)), (11, (2, 4, 4, 2)))  # input channels, then channels of the four branches
CONVOLUTIONS = ((12, 16, 2), (16, 16, 4))  # input channels, output channels, pool


class Inception(nn.Module):
    """Four parallel branches: 1x1; 1x1 and 3x3; 1x1 and 3x3 dilated by 2; 1x1 and 3x3 dilated by 3.

    A ReLU follows every convolution, as published; the size is unchanged; the outputs are concatenated in this order.

    Args:
        in_channels: input channels.
        widths: output channels of the four branches.
        relu: whether a ReLU follows the convolutions.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int, int], relu: bool = True) -> None:
        super().__init__()
        activation = nn.ReLU if relu else nn.Identity
        branches = [nn.Sequential(nn.Conv2d(in_channels, widths[0], 1), activation())]
        for dilation, width in enumerate(widths[1:], start=1):
            branches.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, width, 1),
                    activation(),
                    nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation),
                    activation(),
                )
            )
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        """N,C,H,W -> N,sum(widths),H,W."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class MesoInception4(Meso4):
    """MesoInception-4 (Afchar, Nozick, Yamagishi and Echizen); head, input, loss and sizes are those of Meso-4.

    Args:
        num_classes: 1 is the published form (one logit, squared error on its sigmoid); more use cross-entropy.
        image_size: height and width in pixels, a multiple of 32; 256 was published.
        binary_outputs: as for Meso-4.
        inner_relu: whether a ReLU follows the convolutions of the inception blocks, as published; the PyTorch ports
            have none.
        normalization: as for Meso-4.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        binary_outputs: int = 2,
        inner_relu: bool = True,
        normalization: str = "none",
    ) -> None:
        super().__init__(num_classes, image_size, binary_outputs=binary_outputs, normalization=normalization)
        layers: list[nn.Module] = []
        for in_channels, widths in BLOCKS:
            layers += [Inception(in_channels, widths, inner_relu), _norm(sum(widths)), nn.MaxPool2d(2)]
        for in_channels, out_channels, pool in CONVOLUTIONS:
            layers += [
                nn.Conv2d(in_channels, out_channels, 5, padding=2),
                nn.ReLU(),
                _norm(out_channels),
                nn.MaxPool2d(pool),
            ]
        self.features = nn.Sequential(*layers)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # Keras's defaults
