"""ResNet-18 and ResNet-34 on RGB."""

from __future__ import annotations

from torch import Tensor, nn

from reference_models.common import LogitsOutput, Normalize, check_images, timm_network
from reference_models.resnet.spec import DEEPER, IMAGENET

SMALLEST = 32


class ResNet(nn.Module):
    """ImageNet normalisation, a ResNet with 512 channels, global average pooling, one linear head.

    Args:
        backbone: N,3,H,W -> N,512,H/32,W/32.
        num_classes: outputs; 1 gives one logit.
    """

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.backbone = backbone
        self.head = nn.Linear(512, num_classes)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> logits."""
        check_images(images, SMALLEST)
        return LogitsOutput(self.head(self.backbone(self.normalize(images)).mean(dim=(2, 3))))


class ResNet18(ResNet):
    """ResNet-18.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; any size of at least 32 pixels works.
        pretrained: true: download ImageNet weights; a path: load them from that file.
    """

    def __init__(self, num_classes: int = 2, image_size: int | None = None, *, pretrained: bool | str = False) -> None:
        del image_size
        super().__init__(resnet18(pretrained), num_classes)


class ResNet34(ResNet):
    """ResNet-34; arguments as of :class:`ResNet18`."""

    def __init__(self, num_classes: int = 2, image_size: int | None = None, *, pretrained: bool | str = False) -> None:
        del image_size
        network = timm_network("resnet34", "resnet34.tv_in1k", pretrained, DEEPER, num_classes=0, global_pool="")
        super().__init__(network, num_classes)


def resnet18(pretrained: bool | str = False) -> nn.Module:
    """Build ResNet-18 without pooling and head: N,3,H,W -> N,512,H/32,W/32, with torchvision's parameter names.

    Args:
        pretrained: true: download torchvision's ImageNet weights through timm (Hugging Face hub, 47 MB); a path: load
            them from that file.

    Raises:
        SetupError: the weights cannot be downloaded.
        ModelError: the file cannot be read or belongs to another network.
    """
    return timm_network("resnet18", "resnet18.tv_in1k", pretrained, IMAGENET, num_classes=0, global_pool="")
