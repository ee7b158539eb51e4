"""ViT-B/16, class-token readout."""

from __future__ import annotations

from reference_models.timm_detector import TimmDetector
from reference_models.vit.spec import IMAGENET

PATCH = 16


class ViTB16(TimmDetector):
    """Vision transformer, base size, 16x16 patches; inputs normalised to [-1,1].

    The position embedding is that of 224 pixels and is interpolated (bicubic) for other sizes.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; multiples of 16 of at least 32 pixels work, 224 is the network's native size.
        normalization: ``none``, ``half`` (to [-1,1]) or ``imagenet``.
        pretrained: true: download ImageNet weights; a path: load them from that file.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        normalization: str = "half",
        pretrained: bool | str = False,
    ) -> None:
        del image_size
        super().__init__(
            "vit_base_patch16_224",
            "vit_base_patch16_224.augreg2_in21k_ft_in1k",
            num_classes,
            pretrained,
            files=IMAGENET,
            head="head",
            normalization=normalization,
            multiple=PATCH,
            dynamic_img_size=True,
        )
