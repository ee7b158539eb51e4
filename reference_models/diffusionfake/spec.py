"""The training method ``diffusionfake``, its published pairings, and the names of its weight files; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfbench.explain import FaceReconstruction
from dfbench.models import KeyMap, ModelSpec, Preset, ReproductionNote, TrainingDefaults
from dfbench.models.convert.keymap import Rule, State, rename
from dfbench.training import TrainingMethod, TrainingRequest
from reference_models.diffusionfake.folder import (
    TIMES,
    TINY,
    TINY_MULTIPLE,
    VERSIONS,
    check_folder,
    check_size,
    check_steps,
    require_diffusers,
)

if TYPE_CHECKING:
    from torch import nn

    from dfbench.explain import Reconstruct, ReconstructionRequest
    from dfbench.training import ImagesRequest, MethodImages
    from reference_models.diffusionfake.steps import DiffusionFake

BACKBONES = ("efficientnet-b4", "vit-b16", "efficientnet-b0", "resnet34", "vit-s16")
"""The detectors of the paper's tables; the first one is that of the authors' program."""

TINY_CAUTION = "the diffusion model is a small one with random weights: its reconstructions mean nothing"

OF_IMAGES = ("similarity", "convention", "own_geometry")
"""Options that decide the images of a training, not its steps."""


def _make(detector: nn.Module, **options: Any) -> DiffusionFake:
    from reference_models.diffusionfake.steps import DiffusionFake

    return DiffusionFake(detector, **{name: value for name, value in options.items() if name not in OF_IMAGES})


def _images(request: ImagesRequest) -> MethodImages:
    from reference_models.diffusionfake.images import training_images

    return training_images(request)


def _check(request: TrainingRequest) -> None:
    _check_diffusion(request.options)


def _check_diffusion(options: Mapping[str, Any]) -> int:
    """Refuse a diffusion model that cannot be used, and a size that does not fit it; return its number of times."""
    config = None if options["sd"] == TINY else check_folder(options["sd"], options["version"])
    check_size(options["size"], TINY_MULTIPLE if config is None else config.multiple)
    require_diffusers()
    return TIMES if config is None else config.times


def _check_reconstruction(options: Mapping[str, Any], steps: int) -> str:
    check_steps(steps, _check_diffusion(options))
    return TINY_CAUTION if options["sd"] == TINY else ""


def _load(request: ReconstructionRequest) -> Reconstruct:
    from reference_models.diffusionfake.reconstruction import load_reconstruction

    return load_reconstruction(_make(request.detector, **request.options), request)


METHOD = TrainingMethod(
    name="diffusionfake",
    summary="guided reconstruction of source and target face by a frozen Stable Diffusion (NeurIPS 2024)",
    make=_make,
    options={
        "sd": "",
        "version": "1.5",
        "size": 256,
        "losses": "paper",
        "filter": True,
        "weight": True,
        "guide": "pretrained",
        "similarity": "cos",
        "convention": "ffpp",
        "own_geometry": False,
        "keep": False,
    },
    choices={
        "version": VERSIONS,
        "losses": ("paper", "code"),
        "guide": ("pretrained", "random"),
        "similarity": ("cos", "half"),
        "convention": ("ffpp", "code"),
    },
    folders={"sd": (TINY,)},
    storage=("keep",),
    check=_check,
    sampling="balanced",
    images=_images,
    reconstruction=FaceReconstruction(
        sampler="ddim, eta 0",
        distance="root mean square of the difference of source and target over pixels and channels, in [0,1]",
        check=_check_reconstruction,
        load=_load,
    ),
)

_ENCODER = "input_hint_block."
_RULES: tuple[Rule, ...] = (
    (r"^(?:control_model\.)?input_hint_block\.", "backbone."),
    (r"^(?:control_model\.)?fc\.", "backbone.classifier."),
)
_TRAINING_ONLY = (
    f"{_ENCODER}classifier.",
    "upsample_conv_",
    "feature_",
    "contribution_",
    "fc_s.",
    "fc_t.",
    "time_embed.",
    "input_blocks.",
    "zero_convs.",
    "middle_block.",
    "middle_block_out.",
)
"""What the guide has beside encoder and head."""
_DIFFUSION = (
    "model.",
    "model_ema.",
    "first_stage_model.",
    "cond_stage_model.",
    "betas",
    "alphas_cumprod",
    "sqrt_",
    "log_one_minus_alphas_cumprod",
    "posterior_",
    "lvlb_weights",
    "logvar",
    "scale_factor",
)
"""The tensors of Stable Diffusion in a complete checkpoint."""


def from_authors(state: State) -> State:
    """Convert names of the authors' program: timm's, with the prefix ``input_hint_block``, and the head ``fc``."""
    return rename(state, _RULES)


def _key_map(name: str, prefix: str) -> KeyMap:
    marks = (f"{_ENCODER}conv_stem.weight", f"{_ENCODER}blocks.6.1.bn3.weight", "fc.weight")
    return KeyMap(
        name=name,
        source=f"DiffusionFake on EfficientNet-B4, {'checkpoints' if prefix else 'state dicts of the guide'}",
        marks=tuple(prefix + mark for mark in marks),
        convert=from_authors,
        head="backbone.classifier.weight",
        unused=(*(prefix + start for start in _TRAINING_ONLY), *(_DIFFUSION if prefix else ())),
        options={"backbone": BACKBONES[0]},
        size=256,
        selection="unknown",
        training_method="diffusionfake",
    )


_BIBTEX = """@inproceedings{sun2024diffusionfake,
  title     = {{DiffusionFake}: Enhancing Generalization in Deepfake Detection via Guided {Stable Diffusion}},
  author    = {Sun, Ke and Chen, Shen and Yao, Taiping and Liu, Hong and Sun, Xiaoshuai and Ding, Shouhong and Ji, Rongrong},
  booktitle = {NeurIPS},
  year      = {2024}
}"""  # noqa: E501

DIFFUSIONFAKE = ModelSpec(
    name="diffusionfake",
    target="reference_models.diffusionfake.network:diffusionfake_detector",
    options={"backbone": BACKBONES[0], "pretrained": False},
    presets={
        "code": Preset(
            "hyper-parameters of the authors' program; with --method-option losses=code its losses too",
            recipe=TrainingDefaults(
                optimizer="adamw",
                lr=1e-5,
                weight_decay=0.01,
                epochs=30,
                batch_size=16,
                rotation=30.0,
                flip=0.5,
                source="the authors' program; the weight decay is torch's default",
            ),
        )
    },
    sizes=(224, 128, 256),
    any_size=True,
    smallest=32,
    published_sizes=(224, 256),
    paper="Sun et al., DiffusionFake: Enhancing Generalization in Deepfake Detection, NeurIPS 2024",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    training_method="diffusionfake",
    reproduction_notes=(
        ReproductionNote("encoder: EfficientNet-B4 or ViT-B/16", "EfficientNet-B4", "backbone"),
        ReproductionNote(
            "first weights of the encoder (authors' program: noisy-student weights of timm)",
            "random; ImageNet weights on request, AdvProp for EfficientNet",
            "pretrained",
        ),
        ReproductionNote(
            "size of the crops: 224 in the paper, 256 in the program", "that of the protocol; 256 for weights of theirs"
        ),
        ReproductionNote(
            "size of the images that are reconstructed", "256, as in the program; the method's option size"
        ),
        ReproductionNote(
            "weights of the losses: 0.7 for the source in the paper, all 1 in the program",
            "the paper's; the method's option losses=code",
        ),
        ReproductionNote(
            "encoders other than EfficientNet-B4: the program fixes 1792 channels and cannot run ViT-B",
            "all widths follow from the feature map; ViT: its patch tokens; maps are resized to the latents after the "
            "transposed convolutions",
        ),
        ReproductionNote(
            "the baseline of the ablation without a filter (not published)",
            "a 3x3 convolution after the transposed ones; the method's option filter=false",
        ),
        ReproductionNote(
            "the baseline of the ablation without weights of Stable Diffusion (not published)",
            "a guide with random weights beside the frozen model; the method's option guide=random",
        ),
        ReproductionNote(
            "dropout in encoder and head (not recorded)", "that of the backbone: EfficientNet-B4 0.4, drop-connect 0.2"
        ),
        ReproductionNote("latents: drawn from the posterior or its mean", "its mean, without a draw"),
        ReproductionNote(
            "augmentation: flips and CutOut in the paper; flips, rotation, crops, grey and noise in the program",
            "flips, and rotation with the preset code",
        ),
    ),
    recipe=TrainingDefaults(
        lr=1e-5,
        epochs=20,
        batch_size=32,
        flip=0.5,
        source="the paper: Adam at 1e-5, batch 32, 20 epochs; the schedule is not published",
    ),
    pretrained="ImageNet weights of the backbone (78 MB for EfficientNet-B4, Hugging Face hub)",
    published_pretrained=True,
    foreign_keys=(_key_map("diffusionfake", "control_model."), _key_map("diffusionfake-guide", "")),
)
