"""ImageNet weights of ViT-B/16 as timm and torchvision name them; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap
from dfbench.models.convert.keymap import Rule, State, rename

_BLOCK = r"^encoder\.layers\.encoder_layer_(\d+)\."
_TORCHVISION: tuple[Rule, ...] = (
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
    (_BLOCK + r"ln_(\d)\.", r"blocks.\1.norm\2."),
    (_BLOCK + r"self_attention\.in_proj_", r"blocks.\1.attn.qkv."),
    (_BLOCK + r"self_attention\.out_proj\.", r"blocks.\1.attn.proj."),
    (_BLOCK + r"mlp\.(?:linear_1|0)\.", r"blocks.\1.mlp.fc1."),
    (_BLOCK + r"mlp\.(?:linear_2|3)\.", r"blocks.\1.mlp.fc2."),
)


def from_torchvision(state: State) -> State:
    """Names of torchvision to timm's; the layouts are the same."""
    return rename(state, _TORCHVISION)


IMAGENET = (
    KeyMap(
        name="timm",
        source="ViT-B/16 at 224 pixels of timm (vit_base_patch16_224.*)",
        marks=("cls_token", "patch_embed.proj.weight", "blocks.11.norm2.weight"),
    ),
    KeyMap(
        name="torchvision",
        source="ViT-B/16 of torchvision (vit_b_16-*.pth)",
        marks=("class_token", "encoder.layers.encoder_layer_11.ln_2.weight"),
        convert=from_torchvision,
        options={"normalization": "imagenet"},
    ),
)
