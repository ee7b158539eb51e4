"""A classifier of timm as a detector: normalisation, a check of the size, and ImageNet weights only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dfbench.errors import ModelError, SetupError
from reference_models.common import Normalize, check_images


@dataclass(frozen=True)
class LogitsOutput:
    """``logits`` is N,C."""

    logits: Tensor


class TimmDetector(nn.Module):
    """One of timm's image classifiers with its own head, on RGB in [0,1].

    Args:
        architecture: timm's name.
        weights: timm's name with the tag of the ImageNet weights.
        num_classes: outputs; 1 gives one logit.
        pretrained: fetch those weights.
        mean, std: normalisation of each colour plane.
        smallest: smallest height and width in pixels.
        multiple: height and width are multiples of this.
        options: what else timm's factory takes.
    """

    def __init__(
        self,
        architecture: str,
        weights: str,
        num_classes: int,
        pretrained: bool,
        *,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        smallest: int = 32,
        multiple: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        self.smallest, self.multiple = smallest, multiple
        self.normalize = Normalize(mean, std)
        self.backbone = timm_network(architecture, weights, pretrained, num_classes=num_classes, **options)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,H,W -> logits."""
        check_images(images, self.smallest)
        height, width = images.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise ModelError(
                f"this detector takes multiples of {self.multiple} pixels, the images are {height} x {width}",
                f"use crops of {max(self.smallest, height // self.multiple * self.multiple)} pixels",
            )
        return LogitsOutput(self.backbone(self.normalize(images)))


def timm_network(architecture: str, weights: str, pretrained: bool, **options: Any) -> nn.Module:
    """A network of timm, with random weights unless ``pretrained``.

    Raises:
        SetupError: the weights can not be fetched.
    """
    import timm

    if not pretrained:
        return timm.create_model(architecture, pretrained=False, **options)
    try:
        return timm.create_model(weights, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        raise SetupError(
            f"the ImageNet weights {weights} can not be fetched: {error}",
            "check the network connection, or build the detector with pretrained=False",
        ) from error
