"""The training method ``rfm``, its pairing with Xception, and the tensor names of its weight files; free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfbench.errors import UsageError
from dfbench.models import KeyMap, ModelSpec, ReproductionNote, TrainingDefaults
from dfbench.training import TrainingMethod, TrainingRequest
from reference_models.xception.spec import MARKS, detector_names

if TYPE_CHECKING:
    from torch import nn

    from dfbench.training import TrainingStep


def _make(detector: nn.Module, **options: Any) -> TrainingStep:
    from reference_models.rfm.steps import RepresentativeForgeryMining

    return RepresentativeForgeryMining(detector, **options)


def _check(request: TrainingRequest) -> None:
    """Refuse values of the options that are out of range."""
    options = request.options
    ranges = {
        "blocks": (options["blocks"] >= 1, "a whole number from 1"),
        "side": (options["side"] >= 1, "a whole number of pixels from 1"),
        "probability": (0 <= options["probability"] <= 1, "a number from 0 to 1"),
        "threshold": (0 < options["threshold"] < 1, "a number between 0 and 1"),
        "flood": (options["flood"] >= 0, "a number from 0"),
    }
    for name, (fits, wanted) in ranges.items():
        if not fits:
            raise UsageError(f"invalid value {options[name]} of the option {name} of the method rfm", f"pass {wanted}")


METHOD = TrainingMethod(
    name="rfm",
    summary="representative forgery mining: noise over the regions that the score is most sensitive to (CVPR 2021)",
    make=_make,
    options={
        "erase": "sfe",
        "blocks": 3,
        "side": 120,
        "probability": 1.0,
        "cam": "difference",
        "threshold": 0.6,
        "flood": 0.04,
    },
    choices={"erase": ("sfe", "re", "ae"), "cam": ("difference", "both")},
    check=_check,
    sampling="balanced",
)

_BIBTEX = """@inproceedings{wang2021representative,
  title     = {Representative Forgery Mining for Fake Face Detection},
  author    = {Wang, Chengrui and Deng, Weihong},
  booktitle = {CVPR},
  year      = {2021}
}"""

RFM = ModelSpec(
    name="rfm",
    target="reference_models.xception.network:XceptionDetector",
    options={"head_epochs": 0, "normalization": "quarter", "pretrained": False},
    sizes=(224, 128, 256, 299),
    any_size=True,
    smallest=32,
    paper="Wang and Deng, Representative Forgery Mining for Fake Face Detection, CVPR 2021",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    training_method="rfm",
    reproduction_notes=(
        ReproductionNote(
            "which images are erased: some with a probability (notes on the paper), every one (authors' program)",
            "every image, real and fake; the method's option probability changes it",
        ),
        ReproductionNote(
            "crops of other sizes than 224 (not published)", "the largest side of a block is scaled with the crop"
        ),
        ReproductionNote(
            "the shift of a block may equal its height or width, which leaves its anchor unerased (authors' program)",
            "as in the program",
        ),
        ReproductionNote(
            "RE, the random erasing that the paper compares with (law not published)",
            "the same blocks around uniform random pixels; the method's option erase=re",
        ),
        ReproductionNote(
            "AE, the erasing by class activation maps (open: the maps of both classes or their difference; threshold)",
            "the difference; 0.6 of the range of the enlarged map; the method's options erase=ae, cam and threshold",
        ),
        ReproductionNote(
            "detectors with one logit or several classes (not published)",
            "gradient of the logit; of the log-sum-exp of the fake classes minus that of the real ones",
        ),
        ReproductionNote(
            "augmentation: images of 256 pixels are cut at random to 224, their centre at test (authors' program)",
            "crops are used as they were prepared, flipped at random",
        ),
        ReproductionNote(
            "selection: the program evaluates every 3000 steps and takes the largest TPR at FPR 1e-4, on test fakes",
            "the protocol's metric on validation data; 3000 steps are an epoch",
        ),
        ReproductionNote(
            "first weights (authors' program: random)", "random; ImageNet weights on request", "pretrained"
        ),
    ),
    recipe=TrainingDefaults(
        lr=2e-4,
        epochs=167,
        batch_size=16,
        samples_per_epoch=48_000,
        source="train.py of the authors: Adam, batches of 8 real and 8 fake images, up to 500,000 steps",
    ),
    pretrained="ImageNet weights of Xception (legacy_xception.tf_in1k, 91 MB, from timm's release page)",
    phase_option="head_epochs",
    foreign_keys=(
        KeyMap(
            name="rfm",
            source="RFM, state dicts of pretrainedmodels' Xception (Celeb-DF, DFFD)",
            marks=MARKS,
            convert=detector_names,
            head="backbone.fc.weight",
            options={"normalization": "quarter"},
            size=224,
            licence="Apache-2.0 (RFM)",
            selection="by its authors, on test data",
            training_method="rfm",
        ),
    ),
)
