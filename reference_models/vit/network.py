"""ViT-S/16 and ViT-B/16, class-token readout."""

from __future__ import annotations

from collections.abc import Sequence

from dfbench.models import KeyMap
from reference_models.timm_detector import TimmDetector
from reference_models.vit.spec import IMAGENET, SMALL_FILES

PATCH = 16


class ViT16(TimmDetector):
    """A vision transformer of timm with 16x16 patches.

    The position embedding is that of 224 pixels and is interpolated (bicubic) for other sizes.

    Args:
        architecture: timm's name.
        weights: tag of the ImageNet weights.
        files: key maps of files with ImageNet weights.
        num_classes, normalization, pretrained: see :class:`ViTB16`.
    """

    def __init__(
        self,
        architecture: str,
        weights: str,
        files: Sequence[KeyMap],
        num_classes: int,
        normalization: str,
        pretrained: bool | str,
    ) -> None:
        super().__init__(
            architecture,
            f"{architecture}.{weights}",
            num_classes,
            pretrained,
            files=files,
            head="head",
            normalization=normalization,
            multiple=PATCH,
            dynamic_img_size=True,
        )


class ViTB16(ViT16):
    """Vision transformer, base size, 16x16 patches; inputs normalised to [-1,1].

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
            "vit_base_patch16_224", "augreg2_in21k_ft_in1k", IMAGENET, num_classes, normalization, pretrained
        )


class ViTS16(ViT16):
    """Vision transformer, small size, 16x16 patches; arguments as of :class:`ViTB16`."""

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
            "vit_small_patch16_224", "augreg_in21k_ft_in1k", SMALL_FILES, num_classes, normalization, pretrained
        )
