"""Specification of Xception, and the tensor names of its weight files in other projects; free of torch."""

from __future__ import annotations

from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
from dfbench.models.convert.keymap import State, rename

MARKS = ("block1.skip.weight", "block12.skip.weight", "conv4.pointwise.weight")


def timm_names(state: State) -> State:
    """Convert names of pretrainedmodels and its users to timm's, and 2-D pointwise weights to 4-D."""
    renamed = rename(state, [(r"^last_linear\.(?:1\.)?", "fc.")])
    return {
        name: t[:, :, None, None] if name.endswith("pointwise.weight") and t.ndim == 2 else t
        for name, t in renamed.items()
    }


def detector_names(state: State) -> State:
    """Convert names as :func:`timm_names` does, and add the prefix ``backbone``."""
    return {f"backbone.{name}": tensor for name, tensor in timm_names(state).items()}


DETECTORS = (
    KeyMap(
        name="deepfakebench",
        source="DeepfakeBench v1.0.1, xception_best.pth",
        marks=(*MARKS, "adjust_channel.0.weight"),
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
        source="FaceForensics++, state dicts of its pickles (full_c23.p etc.)",
        marks=MARKS,
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
        marks=MARKS,
        convert=timm_names,
        options={"normalization": "half"},
    ),
)


_BIBTEX = """@inproceedings{roessler2019faceforensics,
  title     = {{FaceForensics++}: Learning to Detect Manipulated Facial Images},
  author    = {R{\\"o}ssler, Andreas and Cozzolino, Davide and Verdoliva, Luisa and Riess, Christian and Thies, Justus and Nie{\\ss}ner, Matthias},
  booktitle = {ICCV},
  year      = {2019}
}

@inproceedings{chollet2017xception,
  title     = {{Xception}: Deep Learning with Depthwise Separable Convolutions},
  author    = {Chollet, Fran{\\c{c}}ois},
  booktitle = {CVPR},
  year      = {2017}
}"""  # noqa: E501

XCEPTION = ModelSpec(
    name="xception",
    target="reference_models.xception.network:XceptionDetector",
    options={"head_epochs": 0, "normalization": "half", "pretrained": False},
    sizes=(299, 128, 224, 256),
    any_size=True,
    smallest=32,
    paper="Rössler et al., FaceForensics++: Learning to Detect Manipulated Facial Images, ICCV 2019",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote(
            "first weights (from memory of the paper: ImageNet)",
            "random; pretrained weights are downloaded on request only",
            "pretrained",
        ),
        ReproductionNote("sizes other than 299", "used unchanged; the network is fully convolutional"),
        ReproductionNote(
            "training only the head for the first 3 epochs (from memory of the paper)",
            "off, since training starts from random weights",
            "head_epochs",
        ),
        ReproductionNote("recipe", "Adam at 2e-4, batch 32, 18 epochs, from memory of the paper, unverified"),
    ),
    recipe=TrainingDefaults(
        lr=2e-4,
        epochs=18,
        batch_size=32,
        flip=0.0,
        source="from memory of the paper, unverified: 3 epochs of the head, then 15 of all layers",
    ),
    pretrained="ImageNet weights of Xception (legacy_xception.tf_in1k, 91 MB, from timm's release page)",
    published_pretrained=True,
    phase_option="head_epochs",
    foreign_keys=DETECTORS,
)
