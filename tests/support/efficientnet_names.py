"""The names of EfficientNet-B4's tensors in efficientnet_pytorch, which many programs use, by those of timm."""

from __future__ import annotations

import re

STAGES = (2, 4, 4, 6, 6, 8, 2)
TOP = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
DEPTHWISE = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
FIRST = DEPTHWISE | {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
OTHERS = DEPTHWISE | {
    "conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2",
}  # fmt: skip


def package_name(timm_name: str) -> str:
    """The name in efficientnet_pytorch of a tensor of timm's network."""
    found = re.fullmatch(r"blocks\.(\d)\.(\d)\.(.+)\.(\w+)", timm_name)
    if found is None:
        layer, _, last = timm_name.rpartition(".")
        return f"{TOP[layer]}.{last}"
    stage, block = int(found[1]), int(found[2])
    return f"_blocks.{sum(STAGES[:stage]) + block}.{(OTHERS if stage else FIRST)[found[3]]}.{found[4]}"
