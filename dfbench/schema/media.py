"""The media table: one row per clip, image or image sequence of a data set, known from names and lists alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from dfbench.schema.columns import Column, TableContract
from dfbench.schema.ids import media_id

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
REAL, FAKE = 0, 1

Kind = Literal["clip", "image", "sequence"]
"""``clip``: a file whose content says whether it is a clip or a still; ``image``: a file that should be a still;
``sequence``: a folder of images, or a folder inside an archive, whose images are the frames of one clip."""

_ARCHIVE = re.compile(r"^(?P<archive>.+?\.(?:tar|tar\.gz|tgz))!/(?P<folder>.*)$", re.IGNORECASE | re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Media:
    """One clip, image or image sequence. See :data:`MEDIA` for what the columns mean.

    Attributes:
        kind: what ``path`` points to; see :data:`Kind`.
        cropped: the pictures are face crops already, so that no face is looked for and the whole picture is
            the crop.
    """

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
    kind: Kind = "clip"
    cropped: bool = False

    @property
    def media_id(self) -> str:
        """``dataset/subset/manipulation/name``."""
        return media_id(self.dataset, self.subset, self.manipulation, self.name)


def archive_path(archive: str, folder: str) -> str:
    """The path of a folder inside an archive, as :attr:`Media.path` holds it.

    >>> archive_path("real train/0.tar.gz", "12/54")
    'real train/0.tar.gz!/12/54'
    """
    return f"{archive}!/{folder}"


def split_archive_path(path: str) -> tuple[str, str] | None:
    """Archive and the folder inside it (empty for its top); None for a path that leads into no archive.

    >>> split_archive_path("real train/0.tar.gz!/12/54")
    ('real train/0.tar.gz', '12/54')
    >>> split_archive_path("real_train/0/12") is None
    True
    """
    match = _ARCHIVE.match(path)
    return None if match is None else (match["archive"], match["folder"])


def sequence_order(file_name: str) -> tuple[int, str]:
    """Sort key of the images of a sequence: by the last number in the name, numerically; names without one first.

    >>> sorted(["10.png", "9.png", "071_0002.png"], key=sequence_order)
    ['071_0002.png', '9.png', '10.png']
    """
    digits = _DIGITS.findall(file_name.rsplit(".", 1)[0])
    return (int(digits[-1]) if digits else -1), file_name


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
