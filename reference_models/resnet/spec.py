"""Specifications of ResNet-18 and ResNet-34, and the names of ImageNet weight files of ResNets; free of torch."""

from __future__ import annotations

from dataclasses import replace

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults

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


_BIBTEX = """@inproceedings{he2016resnet,
  title     = {Deep Residual Learning for Image Recognition},
  author    = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  booktitle = {CVPR},
  year      = {2016}
}"""

RESNET18 = ModelSpec(
    name="resnet18",
    target="reference_models.resnet.network:ResNet18",
    options={"pretrained": False},
    sizes=(128, 224),
    any_size=True,
    smallest=32,
    paper="He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="baseline without a published forgery result of its own",
    licence="Apache-2.0",
    reproduction_notes=(ReproductionNote("recipe as a forgery detector", "that of GRnet, whose backbone it is"),),
    recipe=TrainingDefaults(
        lr=5e-4,
        lr_decay=0.9,
        epochs=20,
        batch_size=64,
        rotation=10.0,
        perspective=0.5,
        source="GRnet's recipe, so that the two can be compared",
    ),
    pretrained="ImageNet weights of ResNet-18 (resnet18.tv_in1k, 47 MB, Hugging Face hub)",
)

RESNET34 = replace(
    RESNET18,
    name="resnet34",
    target="reference_models.resnet.network:ResNet34",
    sizes=(224, 128, 256),
    measured="baseline without a published forgery result of its own; not yet measured",
    reproduction_notes=(ReproductionNote("recipe as a forgery detector", "that of resnet18"),),
    pretrained="ImageNet weights of ResNet-34 (resnet34.tv_in1k, 87 MB, Hugging Face hub)",
)
