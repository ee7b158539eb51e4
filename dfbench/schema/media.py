"""The media table: one row per clip, image or image sequence of a data set, known from names and label files only."""

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
"""What a medium's path names:

``clip``: a file whose content decides whether it is a clip or a still image;
``image``: a file that should be a still image;
``sequence``: a folder of images, also inside an archive, whose images are the frames of one clip.
"""

_ARCHIVE = re.compile(r"^(?P<archive>.+?\.(?:tar|tar\.gz|tgz))!/(?P<folder>.*)$", re.IGNORECASE | re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Media:
    """One clip, image or image sequence. See :data:`MEDIA` for what the columns mean.

    Attributes:
        kind: what ``path`` points to; see :data:`Kind`.
        cropped: the images are face crops already: no face is detected, and the whole image is the crop.
        mask_path: the mask video of a fake, white where it was manipulated; it can be shorter than the fake.
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
    source_media_id: str | None = None
    mask_path: str | None = None

    @property
    def media_id(self) -> str:
        """``dataset/subset/manipulation/name``."""
        return media_id(self.dataset, self.subset, self.manipulation, self.name)


def archive_path(archive: str, folder: str) -> str:
    """Return the path of a folder inside an archive in the form of :attr:`Media.path`.

    >>> archive_path("real train/0.tar.gz", "12/54")
    'real train/0.tar.gz!/12/54'
    """
    return f"{archive}!/{folder}"


def split_archive_path(path: str) -> tuple[str, str] | None:
    """Split a path into archive and folder inside it (empty for its top level); None if it names no archive.

    >>> split_archive_path("real train/0.tar.gz!/12/54")
    ('real train/0.tar.gz', '12/54')
    >>> split_archive_path("real_train/0/12") is None
    True
    """
    match = _ARCHIVE.match(path)
    return None if match is None else (match["archive"], match["folder"])


def sequence_order(file_name: str) -> tuple[int, str]:
    """Return the sort key of an image of a sequence: the last number in its name; names without a number come first.

    >>> sorted(["10.png", "9.png", "071_0002.png"], key=sequence_order)
    ['071_0002.png', '9.png', '10.png']
    """
    digits = _DIGITS.findall(file_name.rsplit(".", 1)[0])
    return (int(digits[-1]) if digits else -1), file_name


MEDIA = TableContract(
    "media",
    (
        Column("media_id", pa.string(), "dataset/subset/manipulation/name; unique over all data sets"),
        Column("dataset", pa.string(), "command-line name of the data set"),
        Column("subset", pa.string(), "compression (raw, c23, c40), or 'all' if the data set has no subsets"),
        Column("manipulation", pa.string(), "forging method as spelled by the data set; 'real' for reals"),
        Column(
            "class",
            pa.string(),
            "what a multi-class protocol predicts: the manipulation, 'real', or the source of a real",
        ),
        Column("label", pa.int8(), "0 real, 1 fake"),
        Column("split", pa.string(), "train, val or test"),
        Column("scene_group", pa.string(), "group of an original and everything made from it; never crosses a split"),
        Column("identity_target", pa.string(), "person or clip that provides the scene", nullable=True),
        Column("identity_source", pa.string(), "person or clip that provides identity or expression", nullable=True),
        Column("base_media_id", pa.string(), "media_id of the real clip that a fake was made from", nullable=True),
        Column(
            "source_media_id",
            pa.string(),
            "media_id of the clip that provided identity or expression; null if the data set does not name it",
            nullable=True,
            optional=True,
        ),
        Column("media_path", pa.string(), "POSIX path relative to the data set's root"),
        Column(
            "media_mask_path",
            pa.string(),
            "POSIX path of the mask video of a fake, where the recipe uses mask videos",
            nullable=True,
            optional=True,
        ),
    ),
    key=("media_id",),
)
