"""Where mask videos lie: videos beside a fake that show which pixels were manipulated."""

from __future__ import annotations

import re
from pathlib import Path

from dfbench.datasets.tree import descend
from dfbench.schema.media import Media

# FaceForensics++ and DeepFakeDetection: .../METHOD/COMPRESSION/videos/NAME.mp4 and .../METHOD/masks/videos/NAME.mp4
_FFPP = re.compile(r"^(?P<method>(?:.*/)?manipulated_sequences/[^/]+)/[^/]+/videos/(?P<name>.+)\.[^./]+$")


def find_mask(media: Media, root: Path) -> Path | None:
    """The mask video of a fake, white where it was manipulated; None if there is none.

    Masks carry no compression: one serves every subset. They can be shorter than their clip.
    """
    match = _FFPP.match(media.path)
    if match is None:
        return None
    method, file = root / match["method"], f"{match['name']}.mp4"
    path = method / "masks" / "videos" / file
    if path.is_file():
        return path
    place = descend(method, "masks", "videos")  # the case of their names is forgiven
    return place / file if place is not None and (place / file).is_file() else None
