"""What Capsule-Forensics v2 says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults
from reference_models.capsule.keys import DETECTORS

_BIBTEX = """@article{nguyen2019use,
  title   = {Use of a Capsule Network to Detect Fake Images and Videos},
  author  = {Nguyen, Huy H. and Yamagishi, Junichi and Echizen, Isao},
  journal = {arXiv:1910.12467},
  year    = {2019}
}"""

CAPSULE = ModelSpec(
    name="capsule",
    target="reference_models.capsule.network:CapsuleNet",
    options={
        "noise": 0.01,
        "dropout": 0.05,
        "loss_on": "vectors",
        "scores": "once",
        "normalization": "imagenet",
        "pretrained": False,
    },
    sizes=(300, 128, 224, 256),
    any_size=True,
    smallest=16,
    paper="Nguyen, Yamagishi and Echizen, Use of a Capsule Network to Detect Fake Images and Videos, arXiv:1910.12467",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    open_points=(
        OpenPoint(
            "first weights (published: ImageNet)", "random, since nothing is fetched unless asked for", "pretrained"
        ),
        OpenPoint("sizes other than 300", "taken as they are; the capsules see statistics of the maps"),
        OpenPoint("empty capsules (0/0 in the published squash)", "a tiny number under the root: they stay 0"),
        OpenPoint(
            "one or two softmaxes in the loss (the authors' program has had both)",
            "one: cross-entropy of the output capsules, the later revision",
            "loss_on",
        ),
        OpenPoint("one class", "refused: the scores are a softmax over classes"),
    ),
    recipe=TrainingDefaults(
        lr=5e-4,
        epochs=25,
        batch_size=32,
        flip=0.0,
        source="the authors' program: Adam, constant rate, no augmentation, ImageNet features (pretrained=True)",
    ),
    pretrained="ImageNet weights of VGG-19 (vgg19.tv_in1k, 575 MB, Hugging Face hub; its first eight layers are used)",
    published_pretrained=True,
    foreign_keys=DETECTORS,
)
