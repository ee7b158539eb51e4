"""The steps of representative forgery mining: a map pass in evaluation mode, erasing, a training pass, flooding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.explain import FinalFeatures, find_final_features, forgery_attention_map
from dfbench.models.interface import before_augmentation
from dfbench.training import Batch, StepResult, supervised_step
from reference_models.rfm.erasing import active_pixels, filled, largest_side, random_blocks, sensitive_blocks


class RepresentativeForgeryMining:
    """The steps of one training; they have no state.

    Args:
        detector: any detector whose input are RGB images; for ``ae``, with a final feature map.
        erase: ``sfe``, ``re`` or ``ae``.
        blocks: blocks per image of ``sfe`` and ``re``.
        side: their largest side in pixels, for crops of 224.
        probability: with which an image is erased.
        cam: maps of ``ae``: ``difference`` or ``both``.
        threshold: of ``ae``.
        flood: level that the loss is kept above; 0: none.

    Raises:
        ModelError: the detector's input are not RGB images alone, or it has no final feature map for ``ae``.
    """

    def __init__(
        self,
        detector: nn.Module,
        *,
        erase: str = "sfe",
        blocks: int = 3,
        side: int = 120,
        probability: float = 1.0,
        cam: str = "difference",
        threshold: float = 0.6,
        flood: float = 0.04,
    ) -> None:
        planes = before_augmentation(detector, torch.zeros(1, 3, 32, 32)).shape[1]
        if planes != 3:
            raise ModelError(
                f"the method rfm erases RGB images, but the detector adds {planes - 3} planes to them before they are "
                "augmented",
                "choose options of the detector that do not, as residual_at=after of grnet",
            )
        self.erase, self.blocks, self.side = erase, blocks, side
        self.probability, self.cam, self.threshold, self.flood = probability, cam, threshold, flood
        self._features = _final_features(detector) if erase == "ae" else None

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Do nothing."""

    def after_backward(self, detector: nn.Module) -> None:
        """Do nothing."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return nothing: all draws come from the random state of the batch."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Do nothing."""

    def __call__(self, detector: nn.Module, batch: Batch) -> StepResult:
        """Erase regions of the batch and return the flooded loss of what is left."""
        images = filled(batch.images, self.erased(detector, batch.images, batch.real_classes))
        result = supervised_step(detector, replace(batch, images=images))
        return replace(result, loss=flooded(result.loss, self.flood))

    def erased(self, detector: nn.Module, images: Tensor, real_classes: tuple[int, ...]) -> Tensor:
        """Return the erased pixels of a batch, bool (N, H, W)."""
        result = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
        chosen = torch.nonzero(torch.rand(len(images)) < self.probability)[:, 0].to(images.device)
        if len(chosen):
            some = images if len(chosen) == len(images) else images[chosen]
            result[chosen] = self._regions(detector, some, real_classes)
        return result

    def _regions(self, detector: nn.Module, images: Tensor, real_classes: tuple[int, ...]) -> Tensor:
        size = (int(images.shape[2]), int(images.shape[3]))
        largest = largest_side(self.side, min(size))
        if self.erase == "re":
            return random_blocks(images, self.blocks, largest)
        if self._features is None:
            return sensitive_blocks(forgery_attention_map(detector, images, real_classes), self.blocks, largest)
        fake, real = self._features.maps(detector, images, real_classes)
        if self.cam == "difference":
            return active_pixels(fake - real, size, self.threshold)
        return active_pixels(fake, size, self.threshold) | active_pixels(real, size, self.threshold)


def _final_features(detector: nn.Module) -> FinalFeatures:
    try:
        return find_final_features(detector)[0]
    except ModelError as error:
        hint = "erase by forgery attention maps instead: --method-option erase=sfe"
        raise ModelError(error.message, hint) from error


def flooded(loss: Tensor, level: float) -> Tensor:
    """Return ``abs(loss - level) + level``: below the level the loss is raised instead (Ishida et al., ICML 2020).

    >>> flooded(torch.tensor([0.5, 0.01]), 0.04)
    tensor([0.5000, 0.0700])
    """
    return (loss - level).abs() + level if level else loss
