"""How much a forgery changed each face track: against the base clip's same frames, or by its mask video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from dfbench.faces.detectors import Face
from dfbench.preparation.extraction.face_tracks import Track

Picture = npt.NDArray[np.uint8]

LONGEST_SIDE = 480
"""Frames are compared after area averaging to this side: it keeps memory small and evens out coding noise."""
LARGEST_STRETCH = 1.02
"""Pictures whose aspect ratios differ by more show different things and are not compared."""


def reduced(image: Picture, like: Picture | None = None) -> Picture | None:
    """A picture shrunk for comparison: to :data:`LONGEST_SIDE`, or to the size of another reduced picture.

    Returns:
        uint8 (height, width, 3); None if the aspect ratio is another than that of ``like``.
    """
    height, width = image.shape[:2]
    if like is None:
        factor = min(1.0, LONGEST_SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
    else:
        size = like.shape[1], like.shape[0]
        stretch = (size[0] / width) / (size[1] / height)
        # One pixel of rounding in a small picture is no stretch.
        slack = LARGEST_STRETCH + 1 / min(size)
        if not 1 / slack <= stretch <= slack:
            return None
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def difference(one: Picture, other: Picture) -> npt.NDArray[np.float32]:
    """Mean absolute difference over the channels, float32 (height, width), in grey levels."""
    return np.asarray(cv2.absdiff(one, other).mean(axis=2, dtype=np.float32), np.float32)


def track_changes(
    tracks: Sequence[Track],
    faces: Mapping[int, Sequence[Face]],
    widths: Mapping[int, int],
    maps: Iterable[tuple[int, npt.NDArray[np.float32]]],
) -> list[float] | None:
    """Mean of change maps inside the boxes of each track.

    Args:
        tracks: the tracks of a clip.
        faces: frame index -> faces of that clip, boxes in source pixels.
        widths: frame index -> width of the source frame in pixels.
        maps: (frame index, reduced change map (height, width)) for frames that can be compared, in any order.

    Returns:
        One value a track, its mean over the frames compared; 0 for a track that is in none of them. None where no
        frame could be compared, or nothing changed anywhere.
    """
    sums, frames = [0.0] * len(tracks), [0] * len(tracks)
    for index, change in maps:
        scale = change.shape[1] / widths[index]
        for n, track in enumerate(tracks):
            if index in track.members:
                sums[n] += _mean_inside(change, faces[index][track.members[index]].box * scale)
                frames[n] += 1
    means = [total / number if number else 0.0 for total, number in zip(sums, frames, strict=True)]
    return means if any(means) else None


def _mean_inside(change: npt.NDArray[np.float32], box: npt.NDArray[np.floating]) -> float:
    height, width = change.shape
    x1, x2 = _inside(float(box[0]), float(box[2]), width)
    y1, y2 = _inside(float(box[1]), float(box[3]), height)
    return float(change[y1:y2, x1:x2].mean(dtype=np.float64))


def _inside(low: float, high: float, length: int) -> tuple[int, int]:
    # At least one pixel, whatever the box.
    start = min(max(math.floor(low), 0), length - 1)
    return start, min(max(math.ceil(high), start + 1), length)
