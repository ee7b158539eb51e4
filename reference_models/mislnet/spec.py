"""What MISLnet says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults

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
    open_points=(
        OpenPoint(
            "colour pictures (the published input is one green plane)",
            "three planes, each slice constrained",
            "planes",
        ),
        OpenPoint("sizes other than 256", "the first dense layer follows the last map"),
        OpenPoint("a slice whose surroundings sum to 0", "it becomes the mean of the 24 neighbours"),
        OpenPoint("momentum of the running statistics", "0.1, so that short trainings settle; Caffe's own is 0.001"),
        OpenPoint("bias of the first dense layer", "1 at first, like the second"),
        OpenPoint("675,200 steps, the rate halving every 56,250", "36 epochs, the rate halves every 3"),
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
        source="the authors' Caffe solver; epochs by its comments (3 to a step of the rate, 12 steps)",
    ),
)
