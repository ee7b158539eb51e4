"""Specification of the high-pass detector; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, ReproductionNote, TrainingDefaults

_BIBTEX = """@inproceedings{mo2018fake,
  title     = {Fake Faces Identification via Convolutional Neural Network},
  author    = {Mo, Huaxiao and Chen, Bolin and Luo, Weiqi},
  booktitle = {IH\\&MMSec},
  year      = {2018}
}"""

HIGHPASS = ModelSpec(
    name="highpass",
    target="reference_models.highpass.network:HighPassNet",
    options={"value_range": "255", "padding": "reflect"},
    former_defaults={"padding": "zeros"},
    sizes=(128, 224, 256),
    any_size=True,
    smallest=8,
    paper="Mo, Chen and Luo, Fake Faces Identification via Convolutional Neural Network, IH&MMSec 2018",
    bibtex=_BIBTEX,
    provenance="approximate",
    measured="approximate re-implementation, not yet measured",
    licence="Apache-2.0",
    reproduction_notes=(
        ReproductionNote(
            "the whole architecture",
            "from memory: three groups of 32, 64 and 128 channels, dense layers of 1024 and 512",
        ),
        ReproductionNote("which high-pass filter", "the 5x5 KV kernel / 12 on every colour channel"),
        ReproductionNote(
            "border of the filter",
            "reflected: padded with zeros, the border has 17 % of the variance",
            "padding",
        ),
        ReproductionNote("value range of the images", "0-255 before the filter", "value_range"),
        ReproductionNote("activation and dropout of the dense layers", "leaky ReLU 0.2 after both, no dropout"),
        ReproductionNote("initialisation", "He normal, biases 0"),
        ReproductionNote("input size", "that of the task; the paper used 256 pixels (134 million parameters)"),
        ReproductionNote("rate, epochs, batch size", "Adam at 1e-4 with factor 0.9 per epoch, 20 epochs, 64"),
    ),
    recipe=TrainingDefaults(
        lr=1e-4,
        lr_decay=0.9,
        epochs=20,
        batch_size=64,
        source="optimiser from memory of the paper, unverified; all other values are proposed",
    ),
)
