"""The table of similarities: how much a fake resembles its source and its target, computed once per manifest."""

from __future__ import annotations

import pyarrow as pa

from dfbench.schema.columns import Column, TableContract

SIMILARITIES = TableContract(
    "similarities",
    (
        Column("sample_id", pa.string(), "media_id#FRAME.FACE of a fake"),
        Column("source_similarity", pa.float32(), "similarity of the latents of the fake and its source, in [-1,1]"),
        Column("target_similarity", pa.float32(), "similarity of the latents of the fake and its target, in [-1,1]"),
    ),
    key=("sample_id",),
)
"""Reals have no rows: they are their own source and target, with similarity 1."""
