"""Specifications of ViT-S/16 and ViT-B/16, and the tensor names of their ImageNet files; free of torch."""

from __future__ import annotations

from dataclasses import replace

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
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
    """Convert names of torchvision to timm's; the layouts are the same."""
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

SMALL_FILES = (replace(IMAGENET[0], source="ViT-S/16 at 224 pixels of timm (vit_small_patch16_224.*)"),)


_BIBTEX = """@inproceedings{dosovitskiy2021image,
  title     = {An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale},
  author    = {Dosovitskiy, Alexey and Beyer, Lucas and Kolesnikov, Alexander and Weissenborn, Dirk and Zhai, Xiaohua and Unterthiner, Thomas and Dehghani, Mostafa and Minderer, Matthias and Heigold, Georg and Gelly, Sylvain and Uszkoreit, Jakob and Houlsby, Neil},
  booktitle = {ICLR},
  year      = {2021}
}"""  # noqa: E501

VIT_B16 = ModelSpec(
    name="vit-b16",
    target="reference_models.vit.network:ViTB16",
    options={"normalization": "half", "pretrained": False},
    sizes=(224, 128, 256),
    any_size=True,
    smallest=32,
    multiple=16,
    paper="Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="baseline without a published forgery result of its own; not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote("sizes other than 224", "position embedding interpolated (bicubic)"),
        ReproductionNote(
            "recipe as a forgery detector", "AdamW at 3e-5, weight decay 0.05, batch 64, 20 epochs: proposed"
        ),
    ),
    recipe=TrainingDefaults(optimizer="adamw", lr=3e-5, weight_decay=0.05, epochs=20, batch_size=64, source="proposed"),
    pretrained="ImageNet weights of ViT-B/16 (vit_base_patch16_224.augreg2_in21k_ft_in1k, 346 MB, Hugging Face hub)",
)

VIT_S16 = replace(
    VIT_B16,
    name="vit-s16",
    target="reference_models.vit.network:ViTS16",
    pretrained="ImageNet weights of ViT-S/16 (vit_small_patch16_224.augreg_in21k_ft_in1k, 88 MB, Hugging Face hub)",
)
