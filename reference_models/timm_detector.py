"""An image classifier of timm as a detector: normalisation, check of the input size, optional ImageNet weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.models import KeyMap
from reference_models.common import LogitsOutput, check_images, make_normalization, timm_network


class TimmDetector(nn.Module):
    """An image classifier of timm with a new head, on RGB in [0,1].

    Args:
        architecture: timm's name.
        weights: timm's name with the tag of the ImageNet weights.
        num_classes: outputs; 1 gives one logit.
        pretrained: true: download those weights; a path: load ImageNet weights from that file.
        files: key maps that such a file may match.
        head: timm's name of the last layer.
        normalization: ``none``, ``half`` (to [-1,1]), ``quarter`` (to [-2,2]) or ``imagenet``.
        smallest: smallest height and width in pixels.
        multiple: height and width must be multiples of this.
        options: further arguments of timm's factory.
    """

    def __init__(
        self,
        architecture: str,
        weights: str,
        num_classes: int,
        pretrained: bool | str,
        *,
        files: Sequence[KeyMap],
        head: str,
        normalization: str = "half",
        smallest: int = 32,
        multiple: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        self.smallest, self.multiple = smallest, multiple
        self.normalize = make_normalization(normalization)
        self.backbone = timm_network(
            architecture,
            weights,
            pretrained,
            files,
            head=head,
            normalization=normalization,
            num_classes=num_classes,
            **options,
        )

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,H,W -> logits."""
        check_images(images, self.smallest)
        height, width = images.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise ModelError(
                f"this detector needs multiples of {self.multiple} pixels, the images are {height} x {width}",
                f"use crops of {max(self.smallest, height // self.multiple * self.multiple)} pixels",
            )
        return LogitsOutput(self.backbone(self.normalize(images)))
