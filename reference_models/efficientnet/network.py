"""EfficientNet-B0 and B4 with TensorFlow's padding."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import UsageError
from reference_models.common import LogitsOutput
from reference_models.efficientnet.spec import B0_FILES, IMAGENET
from reference_models.timm_detector import TimmDetector

STEMS = ("same", "bare")
# Padding (before, after) of the five convolutions of stride 2 at 380 pixels, without padding in the stem.
_BARE = {
    "conv_stem": (0, 0),
    "blocks.1.0.conv_dw": (0, 1),
    "blocks.2.0.conv_dw": (2, 2),
    "blocks.3.0.conv_dw": (0, 1),
    "blocks.5.0.conv_dw": (1, 2),
}


class EfficientNet(TimmDetector):
    """An EfficientNet of timm with one linear head, on RGB in [0,1].

    Args:
        architecture: timm's name.
        num_classes: outputs; 1 gives one logit.
        pretrained: see :class:`reference_models.timm_detector.TimmDetector`.
        float32_scores: see :class:`EfficientNetB4`.
        options: further arguments of :class:`reference_models.timm_detector.TimmDetector`.
    """

    def __init__(
        self, architecture: str, num_classes: int, pretrained: bool | str, *, float32_scores: bool, **options: Any
    ) -> None:
        super().__init__(
            architecture,
            f"{architecture}.ap_in1k",
            num_classes,
            pretrained,
            head="classifier",
            drop_path_rate=0.2,
            **options,
        )
        self.float32_scores = float32_scores
        # timm initialises the head with +-1/sqrt(classes), meant for a thousand classes: with two, the initial logits
        # of 1792 features are in the tens. Torch's default, +-1/sqrt(features), is what efficientnet_pytorch uses.
        self.backbone.get_submodule("classifier").apply(_initialise_like_torch)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> logits."""
        if self.training or not self.float32_scores:
            return super().forward(images)
        with torch.autocast(images.device.type, enabled=False):
            return super().forward(images)


class EfficientNetB4(EfficientNet):
    """EfficientNet-B4 with one linear head, dropout 0.4 and drop-connect 0.2; inputs normalised to [-1,1].

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; any size of at least 32 pixels works, 380 is the network's native size.
        float32_scores: compute in float32 in evaluation mode, under mixed precision as well. Trained from scratch on
            few images, the 32 blocks amplified bfloat16 rounding errors to tenths of P(fake) on single images.
            Training uses mixed precision in either case.
        stem: ``same``: TensorFlow's padding in all layers; ``bare``: as in DeepfakeBench, no padding in the first
            convolution, and in the others the padding for 380 pixels.
        normalization: ``none``, ``half`` (to [-1,1]) or ``imagenet``.
        pretrained: true: download ImageNet weights (trained with AdvProp, hence the normalisation); a path: load
            them from that file.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        float32_scores: bool = True,
        stem: str = "same",
        normalization: str = "half",
        pretrained: bool | str = False,
    ) -> None:
        del image_size
        if stem not in STEMS:
            raise UsageError(
                f"invalid value {stem!r} of the option stem of efficientnet-b4", f"choose from: {', '.join(STEMS)}"
            )
        super().__init__(
            "tf_efficientnet_b4",
            num_classes,
            pretrained,
            float32_scores=float32_scores,
            files=IMAGENET,
            normalization=normalization,
            drop_rate=0.4,
        )
        if stem == "bare":
            for name, padding in _BARE.items():
                fix_padding(self.backbone, name, padding)


class EfficientNetB0(EfficientNet):
    """EfficientNet-B0 with one linear head, dropout 0.2 and drop-connect 0.2; inputs normalised to [-1,1].

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; any size of at least 32 pixels works, 224 is the network's native size.
        float32_scores: see :class:`EfficientNetB4`.
        normalization: ``none``, ``half`` (to [-1,1]) or ``imagenet``.
        pretrained: true: download ImageNet weights (trained with AdvProp, hence the normalisation); a path: load
            them from that file.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        float32_scores: bool = True,
        normalization: str = "half",
        pretrained: bool | str = False,
    ) -> None:
        del image_size
        super().__init__(
            "tf_efficientnet_b0",
            num_classes,
            pretrained,
            float32_scores=float32_scores,
            files=B0_FILES,
            normalization=normalization,
            drop_rate=0.2,
        )


def _initialise_like_torch(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()


class FixedPadding(nn.Conv2d):
    """A convolution with fixed, asymmetric padding, whatever the image size."""

    sides: tuple[int, int] = (0, 0)

    def forward(self, maps: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H',W'."""
        before, after = self.sides
        return super().forward(F.pad(maps, (before, after, before, after)))


def fix_padding(network: nn.Module, name: str, sides: tuple[int, int]) -> None:
    """Replace a convolution of a network by a :class:`FixedPadding` with the same weight parameter.

    Args:
        network: the network, changed in place.
        name: of the convolution, without bias.
        sides: padding before and after, in both directions.
    """
    parent, _, attribute = name.rpartition(".")
    old = cast("nn.Conv2d", network.get_submodule(name))
    with torch.device("meta"):
        new = FixedPadding(
            old.in_channels,
            old.out_channels,
            cast("tuple[int, int]", old.kernel_size),
            cast("tuple[int, int]", old.stride),
            groups=old.groups,
            bias=False,
        )
    new.sides, new.weight = sides, old.weight
    setattr(network.get_submodule(parent), attribute, new)
