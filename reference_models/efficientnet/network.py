"""EfficientNet-B4 with TensorFlow's padding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dfbench.errors import UsageError
from reference_models.efficientnet.keys import IMAGENET
from reference_models.timm_detector import LogitsOutput, TimmDetector

STEMS = ("same", "bare")
# Padding (before, after) of the five convolutions of stride 2 at 380 pixels, the stem without.
_BARE = {
    "conv_stem": (0, 0),
    "blocks.1.0.conv_dw": (0, 1),
    "blocks.2.0.conv_dw": (2, 2),
    "blocks.3.0.conv_dw": (0, 1),
    "blocks.5.0.conv_dw": (1, 2),
}


class EfficientNetB4(TimmDetector):
    """EfficientNet-B4 with one linear head, dropout 0.4 and drop-connect 0.2; inputs normalised to [-1,1].

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works; 380 is the network's own.
        float32_scores: compute in float32 in evaluation mode, under mixed precision as well. Trained from scratch on
            little, its 32 blocks were seen to amplify bfloat16's rounding to tenths of P(fake) on single pictures.
            Training uses mixed precision either way.
        stem: ``same``: TensorFlow's padding throughout; ``bare``: as DeepfakeBench has it, the first convolution
            without padding and the others with what they need at 380 pixels.
        normalization: ``none``, ``half`` (to [-1,1]) or ``imagenet``.
        pretrained: true: fetch ImageNet weights (trained with AdvProp, hence the normalisation); a path: take them
            from that file.
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
            raise UsageError(f"option stem of efficientnet-b4 can not be {stem!r}", f"choose from: {', '.join(STEMS)}")
        super().__init__(
            "tf_efficientnet_b4",
            "tf_efficientnet_b4.ap_in1k",
            num_classes,
            pretrained,
            files=IMAGENET,
            head="classifier",
            normalization=normalization,
            drop_rate=0.4,
            drop_path_rate=0.2,
        )
        if stem == "bare":
            for name, padding in _BARE.items():
                _fix_padding(self.backbone, name, padding)
        self.float32_scores = float32_scores
        # timm draws the head from +-1/sqrt(classes), meant for a thousand classes: with two, logits of 1792 features
        # start out in the tens. Torch's own draw, +-1/sqrt(features), is that of the package most detectors used.
        self.backbone.get_submodule("classifier").apply(_draw_like_torch)

    def forward(self, images: Tensor) -> LogitsOutput:
        """RGB in [0,1], N,3,H,W with H, W >= 32 -> logits."""
        if self.training or not self.float32_scores:
            return super().forward(images)
        with torch.autocast(images.device.type, enabled=False):
            return super().forward(images)


def _draw_like_torch(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()


class FixedPadding(nn.Conv2d):
    """A convolution with a padding of its own on either side, whatever the size."""

    sides: tuple[int, int] = (0, 0)

    def forward(self, maps: Tensor) -> Tensor:
        """N,C,H,W -> N,C',H',W'."""
        before, after = self.sides
        return super().forward(F.pad(maps, (before, after, before, after)))


def _fix_padding(network: nn.Module, name: str, sides: tuple[int, int]) -> None:
    """Put a :class:`FixedPadding` in place of one convolution; its weight stays the same parameter."""
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
