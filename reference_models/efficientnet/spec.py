"""Specifications of EfficientNet-B0 and B4, and the tensor names of their files in other projects; free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
from dfbench.models.convert.keymap import Rule, State, rename

# Blocks of each stage; efficientnet_pytorch numbers them consecutively.
STAGES = (2, 4, 4, 6, 6, 8, 2)
B0_STAGES = (1, 2, 2, 3, 3, 4, 1)

_TOP: tuple[Rule, ...] = (
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
    (r"^_fc\.", "classifier."),
)
_COMMON = {"_depthwise_conv": "conv_dw", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_FIRST = _COMMON | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # blocks without expansion
_OTHERS = _COMMON | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _block_rules(stages: Sequence[int]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for stage, (end, count) in enumerate(zip(accumulate(stages), stages, strict=True)):
        for block in range(count):
            number = end - count + block
            layers = _FIRST if stage == 0 else _OTHERS
            rules += [
                (rf"^_blocks\.{number}\.{theirs}\.", f"blocks.{stage}.{block}.{ours}.")
                for theirs, ours in layers.items()
            ]
    return tuple(rules)


def timm_names(state: State, stages: Sequence[int] = STAGES) -> State:
    """Convert names of efficientnet_pytorch to timm's.

    Args:
        state: the tensors.
        stages: blocks of each stage.
    """
    return rename(state, (*_TOP, *_block_rules(stages)))


def from_sbi(state: State) -> State:
    """Convert names of efficientnet_pytorch to timm's, with the prefix ``backbone``."""
    return {f"backbone.{name}": tensor for name, tensor in timm_names(state).items()}


def from_deepfakebench(state: State) -> State:
    """Convert names of DeepfakeBench: the network has the prefix ``efficientnet``, the head is ``last_layer``."""
    return from_sbi(rename(state, [(r"^efficientnet\.", ""), (r"^last_layer\.", "_fc.")]))


SBI_FILES = KeyMap(
    name="sbi",
    source="SelfBlendedImages, FFraw.tar and FFc23.tar",
    marks=("_conv_stem.weight", "_blocks.31._bn2.weight", "_fc.weight"),
    convert=from_sbi,
    head="backbone.classifier.weight",
    options={"stem": "same", "normalization": "none"},
    size=380,
    profile="sbi",
    training_method="sbi",
)
"""The weights of self-blended images, which are also those of the detector ``sbi``."""

DETECTORS = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, effnb4_best.pth",
        marks=("efficientnet._conv_stem.weight", "efficientnet._blocks.31._bn2.weight", "last_layer.weight"),
        convert=from_deepfakebench,
        head="backbone.classifier.weight",
        options={"stem": "bare", "normalization": "half"},
        size=256,
        profile="dfb256",
        licence="CC BY-NC 4.0 (DeepfakeBench)",
        selection="by its authors, on test data",
    ),
    SBI_FILES,
)

IMAGENET = (
    KeyMap(
        name="timm",
        source="EfficientNet-B4 of timm (tf_efficientnet_b4.*)",
        marks=("conv_stem.weight", "blocks.6.1.bn3.weight"),
    ),
    KeyMap(
        name="efficientnet_pytorch",
        source="efficientnet_pytorch (efficientnet-b4-*.pth, adv-efficientnet-b4-*.pth)",
        marks=("_conv_stem.weight", "_blocks.31._bn2.weight"),
        convert=timm_names,
    ),
)

B0_FILES = (
    KeyMap(
        name="timm",
        source="EfficientNet-B0 of timm (tf_efficientnet_b0.*)",
        marks=("conv_stem.weight", "blocks.6.0.bn3.weight"),
    ),
    KeyMap(
        name="efficientnet_pytorch",
        source="efficientnet_pytorch (efficientnet-b0-*.pth, adv-efficientnet-b0-*.pth)",
        marks=("_conv_stem.weight", "_blocks.15._bn2.weight"),
        convert=partial(timm_names, stages=B0_STAGES),
    ),
)


_BIBTEX = """@inproceedings{tan2019efficientnet,
  title     = {{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  author    = {Tan, Mingxing and Le, Quoc V.},
  booktitle = {ICML},
  year      = {2019}
}"""

EFFICIENTNET_B4 = ModelSpec(
    name="efficientnet-b4",
    target="reference_models.efficientnet.network:EfficientNetB4",
    options={"float32_scores": True, "stem": "same", "normalization": "half", "pretrained": False},
    sizes=(380, 128, 224, 256),
    any_size=True,
    smallest=32,
    paper="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="baseline without a published forgery result of its own; not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote(
            "normalisation", "to [-1,1], as expected by the AdvProp weights that most detectors start from"
        ),
        ReproductionNote(
            "first weights of the head",
            "torch's default initialisation; with two classes, timm's gives very large logits",
        ),
        ReproductionNote(
            "momentum of the running statistics",
            "0.1, timm's default, so that they converge in short trainings; the paper has 0.01",
        ),
        ReproductionNote("recipe as a forgery detector", "Adam at 2e-4, batch 32, 20 epochs, constant rate: proposed"),
    ),
    recipe=TrainingDefaults(lr=2e-4, epochs=20, batch_size=32, source="proposed, after Xception's"),
    pretrained="ImageNet weights of EfficientNet-B4 (tf_efficientnet_b4.ap_in1k, 78 MB, Hugging Face hub)",
    foreign_keys=DETECTORS,
)

EFFICIENTNET_B0 = replace(
    EFFICIENTNET_B4,
    name="efficientnet-b0",
    target="reference_models.efficientnet.network:EfficientNetB0",
    options={"float32_scores": True, "normalization": "half", "pretrained": False},
    sizes=(224, 128, 256),
    pretrained="ImageNet weights of EfficientNet-B0 (tf_efficientnet_b0.ap_in1k, 21 MB, Hugging Face hub)",
    foreign_keys=(),
)
