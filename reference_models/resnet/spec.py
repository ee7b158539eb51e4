"""What the single-stream ResNet-18 says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults

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
    open_points=(OpenPoint("recipe as a forgery detector", "GRnet's, whose backbone it is"),),
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
