"""Backbones without pooling and head, from timm, for detectors that build on a feature map."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dfbench.errors import unknown_name
from dfbench.models import KeyMap
from reference_models.common import IMAGENET_MEAN, IMAGENET_STD, timm_network
from reference_models.efficientnet.spec import IMAGENET as EFFICIENTNET_FILES
from reference_models.resnet.spec import DEEPER as DEEPER_RESNET_FILES
from reference_models.resnet.spec import IMAGENET as RESNET18_FILES
from reference_models.xception.spec import IMAGENET as XCEPTION_FILES

_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Backbone:
    """A network of timm.

    Attributes:
        architecture: timm's name.
        weights: timm's name with the tag of the ImageNet weights.
        mean, std: normalisation that those weights expect.
        files: key maps of local weight files that can be used instead.
        head: timm's name of the last layer, which is not loaded from a file.
    """

    architecture: str
    weights: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    files: tuple[KeyMap, ...] = ()
    head: str = "fc"


BACKBONES = {
    "resnet18": Backbone("resnet18", "resnet18.tv_in1k", files=RESNET18_FILES),
    "resnet34": Backbone("resnet34", "resnet34.tv_in1k", files=DEEPER_RESNET_FILES),
    "resnet50": Backbone("resnet50", "resnet50.tv_in1k", files=DEEPER_RESNET_FILES),
    "xception": Backbone("legacy_xception", "legacy_xception.tf_in1k", _HALF, _HALF, XCEPTION_FILES),
    "efficientnet-b4": Backbone(
        "tf_efficientnet_b4", "tf_efficientnet_b4.ap_in1k", _HALF, _HALF, EFFICIENTNET_FILES, head="classifier"
    ),
}


def get_backbone(name: str) -> Backbone:
    """Return a backbone by its name.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    return BACKBONES[name]


def feature_network(name: str, pretrained: bool | str = False) -> tuple[nn.Module, int]:
    """Build a backbone without pooling and head, and return it with its number of channels: N,3,H,W -> N,C,H/32,W/32.

    ``resnet18`` has torchvision's parameter names and 11,176,512 parameters.

    Args:
        name: one of :data:`BACKBONES`.
        pretrained: true: download ImageNet weights through timm; a path: load them from that file.

    Raises:
        UsageError: the name is unknown.
        SetupError: the weights cannot be downloaded.
        ModelError: the file cannot be read or belongs to another network.
    """
    chosen = get_backbone(name)
    network = timm_network(
        chosen.architecture,
        chosen.weights,
        pretrained,
        chosen.files,
        head=chosen.head,
        num_classes=0,
        global_pool="",
    )
    return network, int(network.num_features)  # type: ignore[arg-type]
