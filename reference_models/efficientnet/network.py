"""EfficientNet-B4 with TensorFlow's padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_models.timm_detector import LogitsOutput, TimmDetector


class EfficientNetB4(TimmDetector):
    """EfficientNet-B4 with one linear head, dropout 0.4 and drop-connect 0.2; inputs normalised to [-1,1].

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works; 380 is the network's own.
        float32_scores: compute in float32 in evaluation mode, under mixed precision as well. Trained from scratch on
            little, its 32 blocks were seen to amplify bfloat16's rounding to tenths of P(fake) on single pictures.
            Training uses mixed precision either way.
        pretrained: fetch ImageNet weights (trained with AdvProp, hence the normalisation).
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        float32_scores: bool = True,
        pretrained: bool = False,
    ) -> None:
        del image_size
        super().__init__(
            "tf_efficientnet_b4",
            "tf_efficientnet_b4.ap_in1k",
            num_classes,
            pretrained,
            drop_rate=0.4,
            drop_path_rate=0.2,
        )
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
