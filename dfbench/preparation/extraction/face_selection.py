"""Which faces of a clip become rows: the largest of each frame, those of one track, or all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfbench.faces.base import Face
from dfbench.media.frames import Reading
from dfbench.preparation.extraction.change_maps import ForgeryComparison
from dfbench.preparation.extraction.clip_faces import FaceChoice, FrameFaces
from dfbench.preparation.extraction.face_tracks import FaceTrack, build_tracks
from dfbench.schema.media import Media
from dfbench.schema.sampling import FaceRule

NO_FACE = "no face found"
OTHER_FACES = "the tracked face is not in this frame, only other faces"

Faces = Mapping[int, Sequence[Face]]


@dataclass(frozen=True)
class TrackCandidates:
    """The tracks among which a face rule cannot decide by boxes alone, largest first."""

    tracks: tuple[FaceTrack, ...]


def select_faces(
    media: Media, reading: Reading[FrameFaces], rule: FaceRule, comparison: ForgeryComparison
) -> FaceChoice:
    """Choose the faces of a clip that become rows.

    Args:
        media: the clip.
        reading: the faces of its requested frames.
        rule: see :func:`choose`.
        comparison: what forgeries changed, for the rule ``manipulated``.
    """
    faces = {index: frame.faces for index, frame in reading.results.items()}
    choice = choose(faces, rule, {index: (frame.width, frame.height) for index, frame in reading.results.items()})
    if not isinstance(choice, TrackCandidates):
        return choice
    return follow(faces, most_changed(choice.tracks, comparison.changes(media, reading, choice.tracks)))


def choose(
    faces: Faces, rule: FaceRule, sizes: Mapping[int, tuple[int, int]] | None = None
) -> FaceChoice | TrackCandidates:
    """Apply a face rule to the boxes of a clip's faces.

    Args:
        faces: frame index -> faces, largest first.
        rule: ``largest``: the first face of each frame; ``all``: every face; ``track``: the face of each frame that
            is in the track with the largest total area; ``manipulated``: the same if there is only one track,
            otherwise the content of the frames decides.
        sizes: frame index -> width and height; default: all frames have one size.

    Returns:
        The choice, or for ``manipulated`` the tracks to choose from.
    """
    if rule == "largest":
        return {frame: (0,) if found else () for frame, found in faces.items()}
    if rule == "all":
        return {frame: tuple(range(len(found))) for frame, found in faces.items()}
    tracks = tuple(
        sorted(build_tracks(faces, sizes), key=lambda track: -track.area)
    )  # stable: the earlier of equals first
    if rule == "track" or len(tracks) < 2:
        return follow(faces, tracks[0] if tracks else None)
    return TrackCandidates(tracks)


def follow(faces: Faces, track: FaceTrack | None) -> FaceChoice:
    """Choose the face of one track in each frame."""
    members = track.members if track is not None else {}
    return {frame: (members[frame],) if frame in members else () for frame in faces}


def most_changed(tracks: Sequence[FaceTrack], changes: Sequence[Sequence[float]]) -> FaceTrack:
    """Return the track that forgeries changed most.

    Args:
        tracks: the tracks, largest first.
        changes: for each forgery that could be compared, how much every track changed. Each forgery has equal weight.

    Returns:
        The first track if nothing could be compared.
    """
    sums = [0.0] * len(tracks)
    for change in changes:
        total = sum(change)
        for n, value in enumerate(change):
            sums[n] += value / total if total > 0 else 0.0
    return tracks[max(range(len(tracks)), key=lambda n: (sums[n], -n))]
