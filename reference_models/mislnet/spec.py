"""Specification of MISLnet; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, ReproductionNote, TrainingDefaults

_BIBTEX = """@article{bayar2018constrained,
  title   = {Constrained Convolutional Neural Networks: A New Approach Towards General Purpose Image Manipulation Detection},
  author  = {Bayar, Belhassen and Stamm, Matthew C.},
  journal = {IEEE Transactions on Information Forensics and Security},
  volume  = {13},
  number  = {11},
  year    = {2018}
}"""  # noqa: E501

MISLNET = ModelSpec(
    name="mislnet",
    target="reference_models.mislnet.network:MISLnet",
    options={"planes": "rgb"},
    sizes=(256, 128, 224),
    any_size=True,
    smallest=48,
    paper="Bayar and Stamm, Constrained Convolutional Neural Networks, IEEE TIFS 13(11), 2018",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote(
            "colour images (the published input is the green channel)",
            "three channels, each kernel slice constrained",
            "planes",
        ),
        ReproductionNote("sizes other than 256", "the size of the first dense layer follows the last feature map"),
        ReproductionNote("a kernel slice whose weights around the centre sum to 0", "each becomes 1/24"),
        ReproductionNote(
            "momentum of the running statistics",
            "0.1, so that they converge in short trainings; Caffe's default is 0.001",
        ),
        ReproductionNote("bias of the first dense layer", "initialised to 1, like the second"),
        ReproductionNote("675,200 steps, learning rate halved every 56,250", "36 epochs, learning rate halved every 3"),
    ),
    recipe=TrainingDefaults(
        optimizer="sgd",
        lr=1e-3,
        lr_decay=0.5,
        lr_decay_epochs=3,
        epochs=36,
        batch_size=64,
        momentum=0.95,
        weight_decay=5e-4,
        bias_lr_factor=2.0,
        bias_weight_decay=False,
        flip=0.0,
        source="the authors' Caffe solver; epochs according to its comments (12 steps of 3 epochs)",
    ),
)
