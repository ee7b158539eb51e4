"""File names of FaceForensics++: ``071.mp4`` is a real clip, ``071_054.mp4`` a fake of scene 071 with source 054."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REAL = re.compile(r"^(?P<target>[0-9]{3})\.[A-Za-z0-9]{2,4}$")
_FAKE = re.compile(r"^(?P<target>[0-9]{3})_(?P<source>[0-9]{3})\.[A-Za-z0-9]{2,4}$")


@dataclass(frozen=True)
class Found:
    """A file name that parses.

    Attributes:
        target: the clip that gives the scene; for a real clip, itself.
        source: the clip that gives the face or expression; None for a real clip.
    """

    target: str
    source: str | None = None

    @property
    def name(self) -> str:
        """The clip's name without extension."""
        return self.target if self.source is None else f"{self.target}_{self.source}"


def parse_name(file_name: str, real: bool) -> Found | None:
    """Parse a file name, of a real clip or of a fake; None if it is not one. What the file is, its content tells.

    >>> parse_name("033_097.mp4", real=False)
    Found(target='033', source='097')
    >>> parse_name("033_097.mp4", real=True) is None
    True
    """
    match = (_REAL if real else _FAKE).match(file_name)
    return None if match is None else Found(**match.groupdict())
