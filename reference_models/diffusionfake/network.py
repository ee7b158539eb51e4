"""The detector of DiffusionFake at inference: a plain classifier."""

from __future__ import annotations

from torch import nn

import dfbench
from dfbench.errors import unknown_name
from reference_models.diffusionfake.spec import BACKBONES


def diffusionfake_detector(
    num_classes: int = 2,
    image_size: int | None = None,
    *,
    backbone: str = "efficientnet-b4",
    pretrained: bool | str = False,
) -> nn.Module:
    """Build the classifier that the method trains; nothing else is left of it at inference.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: height and width of the crops in pixels.
        backbone: name of the detector, one of :data:`reference_models.diffusionfake.spec.BACKBONES`.
        pretrained: true: download ImageNet weights; a path: load them from that file.

    Raises:
        UsageError: the backbone is unknown.
    """
    if backbone not in BACKBONES:
        raise unknown_name("backbone", backbone, BACKBONES)
    return dfbench.build_model(backbone, num_classes, image_size, pretrained=pretrained)
