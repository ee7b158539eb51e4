"""The media table: one row per clip, image or image sequence of a data set, known from names and lists alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from dfbench.schema.columns import Column, TableContract
from dfbench.schema.ids import media_id

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
REAL, FAKE = 0, 1


@dataclass(frozen=True)
class Media:
    """One clip, image or image sequence. See :data:`MEDIA` for what the fields mean."""

    dataset: str
    subset: str
    manipulation: str
    name: str
    label: int
    split: Split
    scene_group: str
    path: str
    class_name: str = ""
    identity_target: str | None = None
    identity_source: str | None = None
    base_media_id: str | None = None

    @property
    def media_id(self) -> str:
        """``dataset/subset/manipulation/name``."""
        return media_id(self.dataset, self.subset, self.manipulation, self.name)


MEDIA = TableContract(
    "media",
    (
        Column("media_id", pa.string(), "dataset/subset/manipulation/name, unique over everything"),
        Column("dataset", pa.string(), "command-line name of the data set"),
        Column("subset", pa.string(), "compression (raw, c23, c40) or 'all' where a set has none"),
        Column("manipulation", pa.string(), "the forging method as the set spells it; 'real' for reals"),
        Column(
            "class",
            pa.string(),
            "what a multi-class protocol predicts: the manipulation, 'real', or the source of a real",
        ),
        Column("label", pa.int8(), "0 real, 1 fake"),
        Column("split", pa.string(), "train, val or test"),
        Column("scene_group", pa.string(), "an original and everything made from it; never crosses a split"),
        Column("identity_target", pa.string(), "who or what gives the scene", nullable=True),
        Column("identity_source", pa.string(), "who gives the identity or the expression", nullable=True),
        Column("base_media_id", pa.string(), "the real clip a fake was made from", nullable=True),
        Column("media_path", pa.string(), "POSIX path relative to the data set's root"),
    ),
    key=("media_id",),
)
