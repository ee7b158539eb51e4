"""Identifiers that are built from names only, so that they are the same on every machine.

``media_id`` = ``dataset/subset/manipulation/name``, ``sample_id`` = ``media_id#FRAME.FACE``.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from dfbench.errors import DataError

_SAMPLE = re.compile(r"^(?P<media>.+)#(?P<frame>-\d+|\d{6,})\.(?P<face>\d+)$")


class MediaName(NamedTuple):
    """The four parts of a ``media_id``; ``name`` may itself contain slashes."""

    dataset: str
    subset: str
    manipulation: str
    name: str


def media_id(dataset: str, subset: str, manipulation: str, name: str) -> str:
    """Return the media id of a clip.

    Args:
        dataset: command-line name of the data set.
        subset: compression level, or ``all``.
        manipulation: forging method, or ``real``.
        name: the clip's name without its extension; it may contain slashes.

    Raises:
        DataError: a part is empty or contains characters that ids cannot contain.

    >>> media_id("ff++", "c23", "Deepfakes", "071_054")
    'ff++/c23/Deepfakes/071_054'
    """
    parts = (dataset, subset, manipulation, name)
    whole = "/".join(parts)
    named = dataset and subset and manipulation and name
    if not named or "#" in whole or "\\" in whole or "/" in dataset or "/" in subset or "/" in manipulation:
        raise DataError(
            f"cannot build a media id from {parts!r}",
            "names must not be empty and must not contain '#' or a backslash",
        )
    return whole


def parse_media_id(text: str) -> MediaName:
    """Split a media id into its parts.

    Raises:
        DataError: the text is not a media id.

    >>> parse_media_id("ff++/c23/Deepfakes/071_054").manipulation
    'Deepfakes'
    """
    parts = text.split("/", 3)
    if len(parts) != 4 or not all(parts):
        raise DataError(f"not a media id: {text!r}", "the format is dataset/subset/manipulation/name")
    return MediaName(*parts)


def sample_id(media: str, frame: int, face: int = 0) -> str:
    """Return the sample id of a face.

    Args:
        media: the media id.
        frame: frame index from 0; negative for a clip that did not open.
        face: index of the face in the frame.

    >>> sample_id("ff++/c23/Deepfakes/071_054", 120)
    'ff++/c23/Deepfakes/071_054#000120.0'
    >>> sample_id("ff++/c23/Deepfakes/071_054", -1)
    'ff++/c23/Deepfakes/071_054#-000001.0'
    """
    sign = "-" if frame < 0 else ""
    return f"{media}#{sign}{abs(frame):06d}.{face}"


def parse_sample_id(text: str) -> tuple[str, int, int]:
    """Split a sample id into media id, frame and face.

    Raises:
        DataError: the text is not a sample id.

    >>> parse_sample_id("ff++/c23/Deepfakes/071_054#000120.0")
    ('ff++/c23/Deepfakes/071_054', 120, 0)
    """
    match = _SAMPLE.match(text)
    if match is None:
        raise DataError(f"not a sample id: {text!r}", "the format is dataset/subset/manipulation/name#FRAME.FACE")
    return match["media"], int(match["frame"]), int(match["face"])


def seed_from(identity: str, purpose: str, seed: int = 0) -> int:
    """Return a 64-bit seed that depends only on an id, a named purpose and a number, never on order, time or worker.

    >>> seed_from("mini/c23/real/000", "noise") == seed_from("mini/c23/real/000", "noise")
    True
    """
    digest = hashlib.blake2b(f"{purpose}\0{seed}\0{identity}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
