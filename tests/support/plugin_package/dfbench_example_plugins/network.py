"""The network of the example detector, imported when it is built."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Output:
    """Raw outputs (N, C); further tensors would be extra outputs."""

    logits: Tensor


class Network(nn.Module):
    """RGB in [0,1], (N, 3, H, W) -> logits (N, C)."""

    def __init__(self, num_classes: int, image_size: int, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Output:
        """Score a batch."""
        return Output(self.head(self.features(images)))
