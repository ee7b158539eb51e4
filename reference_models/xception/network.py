"""Xception on faces, as in FaceForensics++."""

from __future__ import annotations

from dfbench.errors import UsageError
from reference_models.timm_detector import TimmDetector
from reference_models.xception.spec import IMAGENET


class XceptionDetector(TimmDetector):
    """Xception with one linear head; inputs normalised to [-1,1] unless an option says otherwise.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: ignored; any size of at least 32 pixels works, 299 was published.
        head_epochs: number of initial epochs in which only the head is trained; for pretrained weights. Not supported
            with several GPUs, where every parameter must receive a gradient.
        normalization: ``none``, ``half`` (to [-1,1], as published), ``quarter`` (to [-2,2]) or ``imagenet``.
        pretrained: true: download ImageNet weights; a path: load them from that file.
    """

    def __init__(
        self,
        num_classes: int = 2,
        image_size: int | None = None,
        *,
        head_epochs: int = 0,
        normalization: str = "half",
        pretrained: bool | str = False,
    ) -> None:
        del image_size
        if head_epochs < 0:
            raise UsageError(f"invalid value {head_epochs} of the option head_epochs of xception", "pass 0 or more")
        super().__init__(
            "legacy_xception",
            "legacy_xception.tf_in1k",
            num_classes,
            pretrained,
            files=IMAGENET,
            head="fc",
            normalization=normalization,
        )
        self.head_epochs = head_epochs

    def start_epoch(self, epoch: int) -> None:
        """Freeze everything but the head during the first ``head_epochs`` epochs."""
        self._set_trainable(epoch >= self.head_epochs)

    def end_epoch(self, epoch: int) -> None:
        """Unfreeze all parameters."""
        del epoch
        self._set_trainable(True)

    def _set_trainable(self, body: bool) -> None:
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(body or name.startswith("fc."))
