"""Specifications of AMTENnet and of its classifier behind SRM filters; free of torch."""

from __future__ import annotations

from dataclasses import replace

from dfbench.models import ModelSpec, ReproductionNote, TrainingDefaults
from reference_models.grnet.spec import GRNET

_BIBTEX = """@article{guo2021fake,
  title   = {Fake Face Detection via Adaptive Manipulation Traces Extraction Network},
  author  = {Guo, Zhiqing and Yang, Gaobo and Chen, Jiyou and Sun, Xingming},
  journal = {Computer Vision and Image Understanding},
  volume  = {204},
  year    = {2021}
}"""

AMTENNET = ModelSpec(
    name="amtennet",
    target="reference_models.amtennet.network:AMTENnet",
    options={"extractor": "amten", "padding": "reflect"},
    former_defaults={"padding": "zeros"},
    sizes=(128, 224, 256),
    any_size=True,
    smallest=32,
    paper="Guo, Yang, Chen and Sun, Fake Face Detection via Adaptive Manipulation Traces Extraction Network, CVIU 2021",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote("order of the colours", "blue, green, red, as OpenCV writes images into Caffe databases"),
        ReproductionNote("sizes other than 128", "the size of the first dense layer follows the last feature map"),
        ReproductionNote(
            "momentum of the running statistics",
            "0.1, so that they converge in short trainings; Caffe's default is 0.001",
        ),
        ReproductionNote(
            "18,170 steps regardless of the number of samples", "18 epochs of 64,000 sampled images, 1000 steps each"
        ),
        ReproductionNote(
            "Table II: which high-pass filter", "the 5x5 KV kernel / 12 on every colour channel", "extractor"
        ),
        ReproductionNote(
            "Table II: border of the high-pass and SRM filters",
            "reflected: padded with zeros, the border has 17 % (high-pass) and 77 % (SRM) of the variance",
            "padding",
        ),
        ReproductionNote(
            "Table II: border of the constrained convolution",
            "zero padding of two pixels, so that the size is unchanged",
            "extractor",
        ),
        ReproductionNote("Table II: truncation of the SRM residuals", "none, as in the code of RGB-N", "extractor"),
        ReproductionNote(
            "Table II: scale of the guided residual",
            "scaled to 0-255 like the other extractors",
            "extractor",
        ),
    ),
    recipe=TrainingDefaults(
        optimizer="sgd",
        lr=1e-3,
        lr_decay=0.5,
        lr_decay_steps=1000,
        epochs=18,
        samples_per_epoch=64_000,
        batch_size=64,
        momentum=0.95,
        weight_decay=5e-3,
        bias_lr_factor=2.0,
        bias_weight_decay=False,
        flip=0.0,
        source="the authors' Caffe solver (18,170 steps, factor 0.5 every 1000)",
    ),
)

AMTENNET_SRM = replace(
    AMTENNET,
    name="amtennet-srm",
    options={"extractor": "srm", "padding": "reflect"},
    former_defaults={},
    reproduction_notes=tuple(note for note in AMTENNET.reproduction_notes if "steps" not in note.what),
    paper="Guo, Yang, Chen and Sun, Exposing Deepfake Face Forgeries with Guided Residuals, arXiv:2205.00753, Table II "
    "(SRM); filters: Zhou et al., Learning Rich Features for Image Manipulation Detection, CVPR 2018",
    bibtex=GRNET.bibtex,
    recipe=TrainingDefaults(
        optimizer="adam",
        lr=1e-3,
        lr_decay=0.9,
        epochs=20,
        batch_size=64,
        source="proposed: on validation people of mini, Adam at 1e-3 gave better AUCs than the solver of AMTENnet",
    ),
)
