"""Track faces through the requested frames of a clip by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfbench.faces.base import Face

SMALLEST_OVERLAP = 0.25
"""Least intersection over union of the doubled boxes of one person in neighbouring requested frames.

Boxes are doubled about their centres because requested frames may be a second apart: two boxes of equal size pass if
their centres are at most 1.2 widths apart.
"""


@dataclass(frozen=True)
class FaceTrack:
    """The faces of one person.

    Attributes:
        members: frame index -> position among the faces of that frame.
        area: sum of the areas of the boxes, in square pixels of the first frame.
    """

    members: Mapping[int, int]
    area: float


def build_tracks(
    faces: Mapping[int, Sequence[Face]], sizes: Mapping[int, tuple[int, int]] | None = None
) -> tuple[FaceTrack, ...]:
    """Join faces to tracks, frame by frame, best overlap first.

    A face joins the track whose last box it overlaps best, however many frames ago that was; a face that overlaps no
    track enough starts a new one. No two faces of a frame are in the same track.

    Args:
        faces: frame index -> faces of that frame.
        sizes: frame index -> width and height of that frame. Where they change, as in recordings of video calls, boxes
            are compared, and areas added, in pixels of the first frame. Default: they do not change.

    Returns:
        All tracks, in order of their first faces.
    """
    members: list[dict[int, int]] = []
    areas: list[float] = []
    last: list[npt.NDArray[np.float64]] = []
    scales = _scales(sizes or {})
    for frame in sorted(faces):
        boxes = [np.asarray(face.box, np.float64) * scales.get(frame, 1.0) for face in faces[frame]]
        pairs = [(-overlap(last[t], box), t, p) for p, box in enumerate(boxes) for t in range(len(last))]
        track_of: dict[int, int] = {}
        taken: set[int] = set()
        for negated, track, position in sorted(pairs):
            if -negated >= SMALLEST_OVERLAP and position not in track_of and track not in taken:
                track_of[position] = track
                taken.add(track)
        for position, box in enumerate(boxes):
            track = track_of.get(position, len(members))
            if track == len(members):
                members.append({})
                areas.append(0.0)
                last.append(box)
            members[track][frame] = position
            areas[track] += _area(box)
            last[track] = box
    return tuple(FaceTrack(m, a) for m, a in zip(members, areas, strict=True))


def _scales(sizes: Mapping[int, tuple[int, int]]) -> dict[int, npt.NDArray[np.float64]]:
    """Return frame index -> factors (4,) from pixels of that frame to those of the first, where their sizes differ."""
    if len(set(sizes.values())) < 2:
        return {}
    first = np.array(sizes[min(sizes)], np.float64)
    return {frame: np.tile(first / size, 2) for frame, size in sizes.items()}


def overlap(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the intersection over union of two boxes (4,) x1 y1 x2 y2, each doubled about its centre."""
    a, b = _doubled(first), _doubled(second)
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = float(np.prod(np.maximum(high - low, 0.0)))
    together = _area(a) + _area(b) - common
    return common / together if together > 0 else 0.0


def _doubled(box: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    half = (box[2:] - box[:2]) / 2
    return np.concatenate([box[:2] - half, box[2:] + half])


def _area(box: npt.NDArray[np.float64]) -> float:
    return float(max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0))
