"""ImageNet weights of ResNets as torchvision and timm publish them; free of torch."""

from __future__ import annotations

from dataclasses import replace

from dfbench.models import KeyMap

IMAGENET = (
    KeyMap(
        name="torchvision",
        source="ResNet-18 of torchvision or timm",
        marks=("conv1.weight", "layer1.0.conv1.weight", "layer4.1.bn2.weight"),
        unused=("fc.",),
        options={"normalization": "imagenet"},
    ),
)

DEEPER = tuple(
    replace(
        keymap,
        source="ResNet-34 or ResNet-50 of torchvision or timm",
        marks=("conv1.weight", "layer1.0.conv1.weight", "layer4.2.bn2.weight"),
    )
    for keymap in IMAGENET
)
