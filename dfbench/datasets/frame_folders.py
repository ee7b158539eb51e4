"""Trees without the videos: folders of extracted frames in their place, one folder per clip.

Sources: FaceForensics's ``extract_compressed_videos.py`` writes whole frames to ``images/CLIP``, DeepfakeBench writes
face crops to ``frames/CLIP`` beside ``landmarks/CLIP``; others write ``frames/``, ``faces/`` or ``crop_...``, or put
the folders of clips directly into that of the compression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dfbench.datasets.base import NOT_A_CLIP, Findings
from dfbench.datasets.layout import join, may_be_media
from dfbench.datasets.tree import child, entries
from dfbench.schema.media import Media

_FRAMES = re.compile(r"^(images|frames([_-]all)?|full[_-]?frames|pngs?)$", re.IGNORECASE)
_CROPS = re.compile(r"^(crop|face|aligned)([a-z]*|[_-].*)$", re.IGNORECASE)


@dataclass(frozen=True)
class FrameFolder:
    """A folder with one folder of frames per clip.

    Attributes:
        path: the folder.
        cropped: the frames are face crops.
    """

    path: Path
    cropped: bool


def find_frames(folder: Path | None, is_name: Callable[[str], bool]) -> FrameFolder | None:
    """Return where the frames of the clips are; None if there are videos, or no frames either.

    Whole frames are preferred to face crops.

    Args:
        folder: a folder of one label and compression, in which videos would be in ``videos/`` or directly.
        is_name: whether a file name is that of a clip. Names of folders are completed by ``.png``.
    """
    if folder is None:
        return None
    for place in (child(folder, "videos"), folder):
        if place is not None and any(e.is_file() and may_be_media(e.name) and is_name(e.name) for e in entries(place)):
            return None
    inner = [e.name for e in entries(folder) if e.is_dir()]
    frames = [name for name in inner if _FRAMES.match(name)]
    crops = [name for name in inner if _CROPS.match(name)]
    of_landmarks = child(folder, "landmarks") is not None
    for name in (*frames, *crops, ""):
        place = folder / name if name else folder
        if any(e.is_dir() and is_name(f"{e.name}.png") for e in entries(place)):
            return FrameFolder(place, name in crops or (name in frames and of_landmarks))
    return None


def add_frames(
    findings: Findings, place: FrameFolder, media_of: Callable[[str, str], Media | None], cropped: bool = False
) -> None:
    """Add the clips of a folder of frames; everything else in it is recorded as excluded.

    Args:
        findings: gets the media.
        place: the folder.
        media_of: returns the medium of a file name and a path relative to the tree; None if it is not that of a clip.
        cropped: the frames are face crops, whatever the folder's name.
    """
    where = place.path.relative_to(findings.tree).as_posix()
    for entry in entries(place.path):
        path = join(where, entry.name)
        media = media_of(f"{entry.name}.png", path) if entry.is_dir() else None
        if media is not None:
            findings.add(replace(media, kind="sequence", cropped=cropped or place.cropped))
        else:
            findings.exclude(NOT_A_CLIP, path)


def warn_of_frames(findings: Findings, places: Sequence[FrameFolder]) -> None:
    """Warn that folders of frames were read as clips, as whole frames or as face crops."""
    for cropped, what in ((False, "whole frames"), (True, "face crops, in which no face is detected")):
        folders = [p.path for p in places if p.cropped == cropped]
        if folders:
            shown = folders[0].relative_to(findings.tree).as_posix()
            findings.warn(
                f"{len(folders)} folders have frames in place of videos, for example {shown}: they were read as {what}"
            )
