"""Where in a detector the last feature map is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.explain import captured_outputs, evaluation_mode, find_final_features


@dataclass(frozen=True)
class FeatureMap:
    """The module of a detector whose output is its last feature map.

    Attributes:
        module: its name.
        channels: of the map.
        prefix: for a vision transformer, the tokens before those of the patches; None: the output is a map.
    """

    module: str
    channels: int
    prefix: int | None = None

    def of(self, output: Tensor) -> Tensor:
        """Return the map (N, C, h, w) of an output of the module; patch tokens form a square."""
        if self.prefix is None:
            return output
        patches = output[:, self.prefix :].transpose(1, 2)
        side = round(patches.shape[2] ** 0.5)
        return patches.reshape(*patches.shape[:2], side, side)


def find_feature_map(detector: nn.Module) -> FeatureMap:
    """Find the last feature map: patch tokens of a vision transformer of timm, or what the logits are a mean of.

    Raises:
        ModelError: the detector has none.
    """
    from timm.models.vision_transformer import VisionTransformer

    for name, module in detector.named_modules():
        if isinstance(module, VisionTransformer):
            return FeatureMap(f"{name}.norm" if name else "norm", module.embed_dim, module.num_prefix_tokens)
    try:
        found, size = find_final_features(detector)
    except ModelError as error:
        raise ModelError(
            f"the method diffusionfake needs a detector with a last feature map: {error.message}",
            "train such a detector, as efficientnet-b4, resnet34, xception or vit-b16",
        ) from error
    return FeatureMap(found.module, _channels(detector, found.module, size))


def _channels(detector: nn.Module, module: str, size: int) -> int:
    device = next((p.device for p in detector.parameters()), torch.device("cpu"))
    with torch.no_grad(), evaluation_mode(detector), captured_outputs(detector, module) as outputs:
        detector(torch.zeros(1, 3, size, size, device=device))
    return int(outputs[-1].shape[1])
