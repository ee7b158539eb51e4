"""Xception on faces, as FaceForensics++ used it."""

from __future__ import annotations

from dfbench.errors import UsageError
from reference_models.timm_detector import TimmDetector
from reference_models.xception.keys import IMAGENET


class XceptionDetector(TimmDetector):
    """Xception with one linear head; inputs normalised to [-1,1] unless an option says otherwise.

    Args:
        num_classes: outputs; 1 gives one logit.
        image_size: not needed, any size of at least 32 pixels works; 299 was published.
        head_epochs: epochs at first in which the head alone learns; makes sense with pretrained weights. Not for
            training on several GPUs, whose gradient exchange waits for every parameter.
        normalization: ``none``, ``half`` (to [-1,1], as published) or ``imagenet``.
        pretrained: true: fetch ImageNet weights; a path: take them from that file.
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
            raise UsageError(f"option head_epochs of xception can not be {head_epochs}", "give 0 or more")
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
        """Hold everything but the head for the first ``head_epochs`` epochs."""
        self._learn(epoch >= self.head_epochs)

    def end_epoch(self, epoch: int) -> None:
        """Let everything learn again."""
        del epoch
        self._learn(True)

    def _learn(self, body: bool) -> None:
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(body or name.startswith("fc."))
