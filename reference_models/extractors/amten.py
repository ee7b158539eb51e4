"""AMTEN, the adaptive manipulation trace extraction network (Guo et al., CVIU 2021), as its Caffe model defines it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_models.extractors.caffe import caffe_xavier_


class AMTEN(nn.Module):
    """Five convolutions without activation around the difference of a predicted and the true picture.

    ``conv1`` predicts the picture and its bias stays 0; what it gets wrong is the trace. Two pairs of convolutions
    reuse the trace, each joined with its own input: 3, then 6, then 12 planes. 912 parameters, 3 of them fixed.
    In float32 under mixed precision too.
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
