"""The training method ``sbi`` and its pairing with EfficientNet-B4; free of torch.

The pairs are made in :mod:`dfbench.training.sbi`, the sharpness-aware steps in :mod:`dfbench.training.sharpness`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfbench.errors import UsageError
from dfbench.models import ModelSpec, ReproductionNote, TrainingDefaults
from dfbench.training import TrainingMethod, TrainingRequest
from reference_models.efficientnet.spec import EFFICIENTNET_B4, SBI_FILES

if TYPE_CHECKING:
    from torch import nn

    from dfbench.training import ImagesRequest, MethodImages, TrainingStep


def _make(detector: nn.Module, *, sharpness: float, skip: bool) -> TrainingStep:
    from dfbench.training import SharpnessAwareStep

    return SharpnessAwareStep(rho=sharpness)


def _images(request: ImagesRequest) -> MethodImages:
    from dfbench.training import self_blended_images

    return self_blended_images(request, skip=request.options["skip"])


def _check(request: TrainingRequest) -> None:
    """Refuse tasks other than real or fake, and values of the options that are out of range."""
    protocol, sharpness = request.protocol, request.options["sharpness"]
    if protocol.task != "binary":
        raise UsageError(
            f"the method sbi makes real and fake images, but protocol {protocol.name!r} has the classes "
            f"{', '.join(protocol.classes)}",
            "choose a protocol with the task real or fake: dfbench list protocols",
        )
    if not 0 <= sharpness < float("inf"):
        raise UsageError(
            f"invalid value {sharpness} of the option sharpness of the method sbi",
            "pass a length from 0, which means no sharpness-aware steps; published: 0.05",
        )


METHOD = TrainingMethod(
    name="sbi",
    summary="self-blended images: fakes made from real faces by blending them with themselves (CVPR 2022)",
    make=_make,
    options={"sharpness": 0.05, "skip": True},
    check=_check,
    sampling="reals",
    augments=True,
    images=_images,
    extras=("patch", "dense"),
    profile="sbi",
)

_BIBTEX = """@inproceedings{shiohara2022detecting,
  title     = {Detecting Deepfakes with Self-Blended Images},
  author    = {Shiohara, Kaede and Yamasaki, Toshihiko},
  booktitle = {CVPR},
  year      = {2022}
}"""

SBI = ModelSpec(
    name="sbi",
    target=EFFICIENTNET_B4.target,
    options={**EFFICIENTNET_B4.options, **SBI_FILES.options},
    sizes=EFFICIENTNET_B4.sizes,
    any_size=EFFICIENTNET_B4.any_size,
    smallest=EFFICIENTNET_B4.smallest,
    published_sizes=(380,),
    paper="Shiohara and Yamasaki, Detecting Deepfakes with Self-Blended Images, CVPR 2022",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    training_method="sbi",
    reproduction_notes=(
        ReproductionNote(
            "masks (authors' program: a file under GPL-3.0, or the convex hull of the landmarks without it)",
            "hulls composed anew from the numbering of the landmarks; the same parts of the face",
        ),
        ReproductionNote(
            "boxes (RetinaFace) and landmarks (dlib's 81 parts)",
            "the boxes and dense landmarks of the manifest: dfbench prepare --face-detector, --landmarks",
        ),
        ReproductionNote(
            "selection: frame AUC on self-blended reals of the validation part, the latest of the five best epochs",
            "the protocol's metric on its validation data",
        ),
        ReproductionNote(
            "a face that cannot be blended is replaced by another one of the data set (authors' program)",
            "by another one of its batch",
        ),
        ReproductionNote(
            "the last samples of an epoch, fewer than a batch, are left out (authors' program)", "they are a batch"
        ),
        ReproductionNote("momentum of the running statistics (authors' program: 0.01)", "0.1, as for efficientnet-b4"),
        ReproductionNote(
            "first weights (authors' program: ImageNet, AdvProp, although images are only divided by 255)",
            "random; those weights on request",
            "pretrained",
        ),
    ),
    recipe=TrainingDefaults(
        optimizer="sgd",
        lr=1e-3,
        momentum=0.9,
        lr_linear_from=0.75,
        epochs=100,
        batch_size=32,
        source="train_sbi.py and base.json of the authors: 16 reals and their fakes per batch, SGD under SAM",
    ),
    pretrained=EFFICIENTNET_B4.pretrained,
    published_pretrained=True,
    foreign_keys=(SBI_FILES,),
)
