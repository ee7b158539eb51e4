"""What Meso-4 says about itself; free of torch."""

from __future__ import annotations

from dfbench.models import ModelSpec, OpenPoint, TrainingDefaults
from reference_models.meso.keys import MESO4 as MESO4_FILES

_BIBTEX = """@inproceedings{afchar2018mesonet,
  title     = {{MesoNet}: a Compact Facial Video Forgery Detection Network},
  author    = {Afchar, Darius and Nozick, Vincent and Yamagishi, Junichi and Echizen, Isao},
  booktitle = {WIFS},
  year      = {2018}
}"""

MESO4 = ModelSpec(
    name="meso4",
    target="reference_models.meso.network:Meso4",
    options={"binary_outputs": 2, "normalization": "none"},
    sizes=(256, 128, 224),
    any_size=True,
    smallest=32,
    multiple=32,
    paper="Afchar, Nozick, Yamagishi and Echizen, MesoNet: a Compact Facial Video Forgery Detection Network, WIFS 2018",
    bibtex=_BIBTEX,
    provenance="re-implementation",
    measured="re-implementation, not yet measured",
    licence="Apache-2.0",
    open_points=(
        OpenPoint("more than one output", "the last dense layer is widened, the loss is cross-entropy"),
        OpenPoint(
            "a task of two classes (published: one output, squared error on its sigmoid)",
            "two outputs with cross-entropy, as for all detectors; 1 is the published form",
            "binary_outputs",
        ),
        OpenPoint("sizes other than 256", "the first dense layer follows the last map"),
        OpenPoint("length of training", "20 epochs"),
        OpenPoint(
            "strength of the augmentation",
            "rotation 15 degrees, zoom 0.2, brightness 0.2, hue 0.05, flips: proposed",
        ),
    ),
    recipe=TrainingDefaults(
        lr=1e-3,
        lr_decay=0.1,
        lr_decay_steps=1000,
        lr_min=1e-6,
        epochs=20,
        batch_size=75,
        rotation=15.0,
        zoom=0.2,
        brightness=0.2,
        hue=0.05,
        source="batch size, rate and its schedule (a tenth every 1000 steps, not below 1e-6): the paper, from memory; "
        "all else proposed, see the open points",
    ),
    foreign_keys=MESO4_FILES,
)
