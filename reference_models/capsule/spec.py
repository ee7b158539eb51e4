"""Specification of Capsule-Forensics v2, and the tensor names of its weight files and VGG-19's; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
from dfbench.models.convert.keymap import State, rename

_OWN = ("fea_ext.capsules.0.0.weight", "fea_ext.capsules.9.9.weight", "routing_stats.route_weights")
_FEATURES = 19  # number of VGG-19 layers used


def from_deepfakebench(state: State) -> State:
    """Convert names of DeepfakeBench: the frozen features have another prefix."""
    return rename(state, [(r"^vgg_ext\.vgg_1\.", "vgg.")])


def vgg_features(state: State) -> State:
    """Convert the names of a complete VGG-19 to those of its features."""
    return rename(state, [(r"^features\.", "")])


DETECTORS = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, capsule_best.pth",
        marks=(*_OWN, "vgg_ext.vgg_1.0.weight"),
        convert=from_deepfakebench,
        head="routing_stats.route_weights",
        options={"normalization": "half", "scores": "twice"},
        size=256,
        profile="dfb256",
        licence="CC BY-NC 4.0 (DeepfakeBench)",
        selection="by its authors, on test data",
    ),
    KeyMap(
        name="capsule-forensics-v2",
        source="Capsule-Forensics-v2, capsule_21.pt and similar files",
        marks=_OWN,
        head="routing_stats.route_weights",
        lacks=("vgg.",),
        options={"normalization": "imagenet"},
        size=300,
        licence="BSD-3-Clause (Capsule-Forensics-v2)",
    ),
)

IMAGENET = (
    KeyMap(
        name="torchvision",
        source="VGG-19 of torchvision or timm",
        marks=("features.0.weight", "features.34.weight"),
        convert=vgg_features,
        unused=("classifier.", "pre_logits.", "head.", *(f"features.{layer}." for layer in range(_FEATURES, 37))),
    ),
)


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
    reproduction_notes=(
        ReproductionNote(
            "first weights (published: ImageNet)",
            "random; pretrained weights are downloaded on request only",
            "pretrained",
        ),
        ReproductionNote("sizes other than 300", "used unchanged; the capsules receive statistics of the maps"),
        ReproductionNote(
            "empty capsules (0/0 in the published squash)", "a small constant under the square root: they stay 0"
        ),
        ReproductionNote(
            "one or two softmaxes in the loss (the authors' code has had both)",
            "one: cross-entropy of the output capsules, the later revision",
            "loss_on",
        ),
        ReproductionNote("one class", "not supported: the scores are a softmax over classes"),
    ),
    recipe=TrainingDefaults(
        lr=5e-4,
        epochs=25,
        batch_size=32,
        flip=0.0,
        source="the authors' code: Adam, constant learning rate, no augmentation, ImageNet features (pretrained=True)",
    ),
    pretrained="ImageNet weights of VGG-19 (vgg19.tv_in1k, 575 MB, Hugging Face hub; its first eight layers are used)",
    published_pretrained=True,
    foreign_keys=DETECTORS,
)
