"""The scores table, one row per sample, condition and model, and the table of examples that a report shows."""

from __future__ import annotations

import pyarrow as pa

from dfbench.schema.columns import Column, TableContract

IDENTITIES = ("identity_target", "identity_source")
"""Columns with the people of a clip; null where the data set does not name them."""

SCORES = TableContract(
    "scores",
    (
        Column("sample_id", pa.string(), "media_id#FRAME.FACE"),
        Column("media_id", pa.string(), "dataset/subset/manipulation/name"),
        Column("dataset", pa.string(), "command-line name of the data set"),
        Column("subset", pa.string(), "compression, or 'all'"),
        Column("manipulation", pa.string(), "forging method; 'real' for reals"),
        Column("split", pa.string(), "evaluated split"),
        Column("scene_group", pa.string(), "unit that intervals treat as independent"),
        Column("label", pa.int8(), "0 real, 1 fake"),
        Column("class", pa.string(), "class of a multi-class protocol"),
        Column("condition", pa.string(), "'clean' or a degradation spec"),
        Column("model", pa.string(), "name of the detector"),
        Column("run_id", pa.string(), "run that made the row"),
        Column("status", pa.string(), "ok, or why there is no score"),
        Column("score", pa.float64(), "P(fake) in [0,1]; null unless the status is ok", nullable=True),
        Column(
            "logits",
            pa.list_(pa.float32()),
            "outputs of the model's (fused) head, divided by the temperature if the protocol has one",
            nullable=True,
        ),
        Column(
            "identity_target",
            pa.string(),
            "person or clip that provides the scene; files of older versions lack it",
            nullable=True,
            optional=True,
        ),
        Column(
            "identity_source",
            pa.string(),
            "person or clip that provides identity or expression; files of older versions lack it",
            nullable=True,
            optional=True,
        ),
    ),
    key=("sample_id", "condition", "model"),
)

"""The scores of a run; written by ``evaluate`` and ``import scores``."""

FROM_MANIFEST = (
    "sample_id",
    "media_id",
    "dataset",
    "subset",
    "manipulation",
    "split",
    "scene_group",
    "label",
    "class",
    "status",
    *IDENTITIES,
)
"""Columns that a score copies from its row in the manifest."""

EXAMPLES = TableContract(
    "examples",
    (
        Column("sample_id", pa.string(), "media_id#FRAME.FACE"),
        Column("media_id", pa.string(), "dataset/subset/manipulation/name"),
        Column("manipulation", pa.string(), "forging method; 'real' for reals"),
        Column("label", pa.int8(), "0 real, 1 fake"),
        Column("score", pa.float64(), "P(fake) in [0,1]"),
        Column("kind", pa.string(), "typical (score closest to the median) or worst (farthest from the label)"),
        Column("crop", pa.binary(), "input of the detector, a PNG file"),
        Column("residual", pa.binary(), "residual that the detector computed from it, a PNG file", nullable=True),
    ),
)
"""Crops that a report shows beside its metrics, a few per manipulation; they may be missing."""
