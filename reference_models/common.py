"""What several detector families need: the ImageNet normalisation, a timm backbone, a check of the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, SetupError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """``(x - mean) / std`` per channel; the constants are buffers that weight files do not store."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """N,C,H,W in [0,1] -> N,C,H,W."""
        return (images - self.mean) / self.std


def check_images(images: Tensor, smallest: int, exact: int | None = None) -> None:
    """Refuse what is not a batch of RGB pictures of a size the network can take.

    Args:
        images: the input of a detector.
        smallest: smallest height and width in pixels.
        exact: the only height and width that fits, where the network has a fixed one.

    Raises:
        ModelError: the shape or the size does not fit.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ModelError(
            f"a detector takes RGB batches of shape (N, 3, H, W), not {tuple(images.shape)}",
            "put the colours first and add the batch dimension: image.permute(2, 0, 1)[None]",
        )
    height, width = int(images.shape[2]), int(images.shape[3])
    if exact is not None and (height, width) != (exact, exact):
        raise ModelError(
            f"this detector was built for {exact} x {exact} pixels, the images are {height} x {width}",
            f"build it with image_size={height}, or use crops of {exact} pixels",
        )
    if min(height, width) < smallest:
        raise ModelError(
            f"images of {height} x {width} pixels are too small for this detector",
            f"it takes {smallest} x {smallest} and more; prepare larger crops with --size",
        )


def resnet18(pretrained: bool = False) -> nn.Module:
    """ResNet-18 without pooling and head: N,3,H,W -> N,512,H/32,W/32, with torchvision's parameter names.

    Args:
        pretrained: fetch torchvision's ImageNet weights through timm (Hugging Face hub, 47 MB).

    Raises:
        SetupError: the weights can not be fetched.
    """
    import timm

    name = "resnet18.tv_in1k" if pretrained else "resnet18"
    try:
        network = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="")
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise SetupError(
            f"the ImageNet weights {name} can not be fetched: {error}",
            "check the network connection, or build the detector with pretrained=False",
        ) from error
    return network
