"""ResNet-18 on RGB, normalised inside."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from reference_models.common import Normalize, check_images, resnet18

SMALLEST = 32


@dataclass(frozen=True)
class ResNetOutput:
    """``logits`` is N,C."""

    logits: Tensor


class ResNet18(nn.Module):
    """ImageNet normalisation, ResNet-18, global average, one linear head.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works.
        pretrained: true: fetch ImageNet weights; a path: take them from that file.
    """

    def __init__(self, num_classes: int = 2, image_size: int | None = None, *, pretrained: bool | str = False) -> None:
        super().__init__()
        del image_size
        self.normalize = Normalize()
        self.backbone = resnet18(pretrained)
        self.head = nn.Linear(512, num_classes)

    def forward(self, images: Tensor) -> ResNetOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> logits."""
        check_images(images, SMALLEST)
        return ResNetOutput(self.head(self.backbone(self.normalize(images)).mean(dim=(2, 3))))
