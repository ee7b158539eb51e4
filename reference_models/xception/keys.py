"""Xception as others name it; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap
from dfbench.models.convert.keymap import State, rename

_BODY = ("block1.skip.weight", "block12.skip.weight", "conv4.pointwise.weight")


def timm_names(state: State) -> State:
    """Names of pretrainedmodels, FaceForensics++ and DeepfakeBench to timm's; old files have 2-D pointwise weights."""
    renamed = rename(state, [(r"^last_linear\.(?:1\.)?", "fc.")])
    return {
        name: t[:, :, None, None] if name.endswith("pointwise.weight") and t.ndim == 2 else t
        for name, t in renamed.items()
    }


def detector_names(state: State) -> State:
    """The same, below our ``backbone``."""
    return {f"backbone.{name}": tensor for name, tensor in timm_names(state).items()}


DETECTORS = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, xception_best.pth",
        marks=(*_BODY, "adjust_channel.0.weight"),
        convert=detector_names,
        head="backbone.fc.weight",
        unused=("adjust_channel.",),
        options={"normalization": "half"},
        size=256,
        profile="dfb256",
        licence="CC BY-NC 4.0 (DeepfakeBench)",
        selection="by its authors, on test data",
    ),
    KeyMap(
        name="faceforensics",
        source="FaceForensics++, the state dict of its pickles (full_c23.p and the like)",
        marks=_BODY,
        convert=detector_names,
        head="backbone.fc.weight",
        options={"normalization": "half"},
        size=299,
        profile="ffpp13",
    ),
)

IMAGENET = (
    KeyMap(
        name="imagenet",
        source="Xception of pretrainedmodels or timm (xception-b5690688.pth)",
        marks=_BODY,
        convert=timm_names,
        options={"normalization": "half"},
    ),
)
