"""What EfficientNet-B4 says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults
from reference_models.efficientnet.keys import DETECTORS

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
    open_points=(
        OpenPoint("normalisation", "to [-1,1], that of the AdvProp weights most detectors start from"),
        OpenPoint("first weights of the head", "torch's own draw; timm's gives two classes very large logits"),
        OpenPoint(
            "momentum of the running statistics", "0.1, timm's, so that short trainings settle; the paper's is 0.01"
        ),
        OpenPoint("recipe as a forgery detector", "Adam at 2e-4, batch 32, 20 epochs, constant rate: proposed"),
    ),
    recipe=TrainingDefaults(lr=2e-4, epochs=20, batch_size=32, source="proposed, after Xception's"),
    pretrained="ImageNet weights of EfficientNet-B4 (tf_efficientnet_b4.ap_in1k, 78 MB, Hugging Face hub)",
    foreign_keys=DETECTORS,
)
