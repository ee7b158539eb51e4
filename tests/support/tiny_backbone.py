"""A network with the parts of timm's EfficientNet that detectors use, tiny."""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS = (4, 6, 6, 8, 8)
STRIDES = (1, 2, 1, 2, 1)
LAST = 10


class TinyBackbone(nn.Module):
    """Stem, five stages with dropout, a last convolution, a linear head.

    Args:
        classes: outputs of the head.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        before, blocks = WIDTHS[0], []
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            convolution = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.SiLU(), nn.Dropout(0.1)))
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = nn.Conv2d(before, LAST, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(LAST)
        self.classifier = nn.Linear(LAST, classes)

    def forward(self, images: Tensor) -> Tensor:
        """N,3,H,W -> N,C."""
        maps = self.blocks(self.bn1(self.conv_stem(images)))
        logits: Tensor = self.classifier(self.bn2(self.conv_head(maps)).mean(dim=(2, 3)))
        return logits
