"""EfficientNet-B4 with TensorFlow's padding."""

from __future__ import annotations

from torch import nn

from reference_models.timm_detector import TimmDetector


class EfficientNetB4(TimmDetector):
    """EfficientNet-B4 with one linear head, dropout 0.4 and drop-connect 0.2; inputs normalised to [-1,1].

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works; 380 is the network's own.
        pretrained: fetch ImageNet weights (trained with AdvProp, hence the normalisation).
    """

    def __init__(self, num_classes: int = 2, image_size: int | None = None, *, pretrained: bool = False) -> None:
        del image_size
        super().__init__(
            "tf_efficientnet_b4",
            "tf_efficientnet_b4.ap_in1k",
            num_classes,
            pretrained,
            drop_rate=0.4,
            drop_path_rate=0.2,
        )
        # timm draws the head from +-1/sqrt(classes), meant for a thousand classes: with two, logits of 1792 features
        # start out in the tens. Torch's own draw, +-1/sqrt(features), is that of the package most detectors used.
        self.backbone.get_submodule("classifier").apply(_draw_like_torch)


def _draw_like_torch(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()
