"""EfficientNet-B4 as efficientnet_pytorch and the detectors built on it name it; free of torch."""

from __future__ import annotations

from itertools import accumulate

from dfbench.models import KeyMap
from dfbench.models.convert.keymap import Rule, State, rename

STAGES = (2, 4, 4, 6, 6, 8, 2)  # blocks of each stage; efficientnet_pytorch numbers them through

_TOP: tuple[Rule, ...] = (
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
    (r"^_fc\.", "classifier."),
)
_COMMON = {"_depthwise_conv": "conv_dw", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_FIRST = _COMMON | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}  # blocks that do not expand
_OTHERS = _COMMON | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def _block_rules() -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for stage, (end, count) in enumerate(zip(accumulate(STAGES), STAGES, strict=True)):
        for place in range(count):
            number = end - count + place
            layers = _FIRST if stage == 0 else _OTHERS
            rules += [
                (rf"^_blocks\.{number}\.{theirs}\.", f"blocks.{stage}.{place}.{ours}.")
                for theirs, ours in layers.items()
            ]
    return tuple(rules)


_RULES = (*_TOP, *_block_rules())


def timm_names(state: State) -> State:
    """Names of efficientnet_pytorch to timm's."""
    return rename(state, _RULES)


def from_sbi(state: State) -> State:
    """The package's network with its own head, below our ``backbone``."""
    return {f"backbone.{name}": tensor for name, tensor in timm_names(state).items()}


def from_deepfakebench(state: State) -> State:
    """The package's network under ``efficientnet``, with a head beside it."""
    return from_sbi(rename(state, [(r"^efficientnet\.", ""), (r"^last_layer\.", "_fc.")]))


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
    KeyMap(
        name="sbi",
        source="SelfBlendedImages, FFraw.tar and FFc23.tar",
        marks=("_conv_stem.weight", "_blocks.31._bn2.weight", "_fc.weight"),
        convert=from_sbi,
        head="backbone.classifier.weight",
        options={"stem": "same", "normalization": "none"},
        size=380,
    ),
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
