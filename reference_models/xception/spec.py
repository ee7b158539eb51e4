"""What Xception says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults
from reference_models.xception.keys import DETECTORS

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
    open_points=(
        OpenPoint(
            "first weights (from memory of the paper: ImageNet)",
            "random, since nothing is fetched unless asked for",
            "pretrained",
        ),
        OpenPoint("sizes other than 299", "taken as they are; the network is convolutional"),
        OpenPoint(
            "head alone for 3 epochs first (from memory of the paper)",
            "off, for weights from scratch",
            "head_epochs",
        ),
        OpenPoint("recipe", "Adam at 2e-4, batch 32, 18 epochs, from memory of the paper, unverified"),
    ),
    recipe=TrainingDefaults(
        lr=2e-4,
        epochs=18,
        batch_size=32,
        flip=0.0,
        source="from memory of the paper, unverified: 3 epochs of the head, then 15 of all",
    ),
    pretrained="ImageNet weights of Xception (legacy_xception.tf_in1k, 91 MB, from timm's release page)",
    published_pretrained=True,
    foreign_keys=DETECTORS,
)
