"""Which faces of a clip become rows: the largest of each frame, those of one track, or all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfbench.faces.detectors import Face
from dfbench.preparation.extraction.face_tracks import Track, build_tracks
from dfbench.schema.sampling import FaceRule

NO_FACE = "no face found"
OTHER_FACES = "the followed face is not in this frame, only others"

Faces = Mapping[int, Sequence[Face]]
Choice = Mapping[int, tuple[int, ...]]
"""Frame index -> positions of the chosen faces, the largest first; empty where none is."""


@dataclass(frozen=True)
class Candidates:
    """What a rule leaves open: one of these tracks, the likeliest by size first."""

    tracks: tuple[Track, ...]


def choose(faces: Faces, rule: FaceRule) -> Choice | Candidates:
    """Apply a rule to a clip's faces.

    Args:
        faces: frame index -> faces, the largest first.
        rule: ``largest``: the first face of each frame; ``all``: every face; ``track``: of each frame the face of
            the track with the largest area in sum; ``manipulated``: the same where there is only one track, and
            otherwise a matter of what the frames show.

    Returns:
        The choice, or for ``manipulated`` the tracks to choose from.
    """
    if rule == "largest":
        return {frame: (0,) if found else () for frame, found in faces.items()}
    if rule == "all":
        return {frame: tuple(range(len(found))) for frame, found in faces.items()}
    tracks = tuple(sorted(build_tracks(faces), key=lambda track: -track.area))  # stable: the earlier of equals first
    if rule == "track" or len(tracks) < 2:
        return follow(faces, tracks[0] if tracks else None)
    return Candidates(tracks)


def follow(faces: Faces, track: Track | None) -> Choice:
    """Of each frame the face of one track."""
    members = track.members if track is not None else {}
    return {frame: (members[frame],) if frame in members else () for frame in faces}


def most_changed(tracks: Sequence[Track], changes: Sequence[Sequence[float]]) -> Track:
    """The track that forgeries changed most.

    Args:
        tracks: the likeliest by size first.
        changes: for each forgery that could be compared, how much every track changed. Each forgery counts alike.

    Returns:
        The first track where nothing could be compared.
    """
    sums = [0.0] * len(tracks)
    for change in changes:
        total = sum(change)
        for n, value in enumerate(change):
            sums[n] += value / total if total > 0 else 0.0
    return tracks[max(range(len(tracks)), key=lambda n: (sums[n], -n))]
