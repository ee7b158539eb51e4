"""Capsule-Forensics v2 as its authors and DeepfakeBench store it, and VGG-19's ImageNet weights; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap
from dfbench.models.convert.keymap import State, rename

_OWN = ("fea_ext.capsules.0.0.weight", "fea_ext.capsules.9.9.weight", "routing_stats.route_weights")
_FEATURES = 19  # layers of VGG-19 that are used


def from_deepfakebench(state: State) -> State:
    """The frozen features have another name."""
    return rename(state, [(r"^vgg_ext\.vgg_1\.", "vgg.")])


def vgg_features(state: State) -> State:
    """The features of a whole VGG-19, numbered from the first."""
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
        source="Capsule-Forensics-v2, capsule_21.pt and the like",
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
