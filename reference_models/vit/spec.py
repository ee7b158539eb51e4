"""What ViT-B/16 says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults

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
    open_points=(
        OpenPoint("sizes other than 224", "position embedding interpolated (bicubic) to the grid of the picture"),
        OpenPoint("recipe as a forgery detector", "AdamW at 3e-5, weight decay 0.05, batch 64, 20 epochs: proposed"),
    ),
    recipe=TrainingDefaults(optimizer="adamw", lr=3e-5, weight_decay=0.05, epochs=20, batch_size=64, source="proposed"),
    pretrained="ImageNet weights of ViT-B/16 (vit_base_patch16_224.augreg2_in21k_ft_in1k, 346 MB, Hugging Face hub)",
)
