"""What AMTENnet says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults

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
    options={"extractor": "amten"},
    sizes=(128, 224, 256),
    any_size=True,
    smallest=32,
    paper="Guo, Yang, Chen and Sun, Fake Face Detection via Adaptive Manipulation Traces Extraction Network, CVIU 2021",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    open_points=(
        OpenPoint("order of the colours", "blue, green, red, as OpenCV reads pictures into Caffe's databases"),
        OpenPoint("sizes other than 128", "the first dense layer follows the last map"),
        OpenPoint("momentum of the running statistics", "0.1, so that short trainings settle; Caffe's own is 0.001"),
        OpenPoint("18,170 steps, however many samples there are", "18 epochs of 64,000 drawn samples, 1000 steps each"),
        OpenPoint("Table II: which high-pass filter", "the 5x5 KV kernel / 12 on every colour plane", "extractor"),
        OpenPoint(
            "Table II: border of the constrained convolution",
            "two pixels of zeros, so that sizes agree",
            "extractor",
        ),
        OpenPoint("Table II: truncation of the SRM residuals", "none, as in RGB-N's program", "extractor"),
        OpenPoint(
            "Table II: scale of the guided residual",
            "brought to 0-255 like the other extractors",
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
