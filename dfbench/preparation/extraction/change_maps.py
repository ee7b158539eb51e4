"""How much a forgery changed each face track: compared with the base clip's same frames, or by its mask video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfbench.errors import DfbenchError
from dfbench.faces.base import Face
from dfbench.media.frames import Chooser, Frame, FrameCallback, Reading
from dfbench.media.reader import read
from dfbench.preparation.extraction.clip_faces import FrameFaces
from dfbench.preparation.extraction.face_tracks import FaceTrack
from dfbench.preparation.extraction.registration import difference, reduced, registered
from dfbench.preparation.extraction.scene_reader import SceneReader, Unreadable
from dfbench.schema.media import FAKE, Media

ChangeMap = npt.NDArray[np.float32]
"""(height, width) of a thumbnail: how much each pixel was changed."""
Thumbnails = Mapping[int, npt.NDArray[np.uint8]]
"""Frame index -> the frame, shrunk for comparison."""


class ForgeryComparison:
    """Compares the clips of one scene group with what they were made from, or with what was made from them.

    Args:
        clips: the clips of the scene group.
        root: folder that media paths are relative to.
        decoder: name of the video decoder.
        reader: reads these clips.
    """

    def __init__(self, clips: Sequence[Media], root: Path, decoder: str, reader: SceneReader) -> None:
        self._clips = {media.media_id: media for media in clips}
        self._root = root
        self._decoder = decoder
        self._reader = reader

    def changes(self, media: Media, reading: Reading[FrameFaces], tracks: Sequence[FaceTrack]) -> list[Sequence[float]]:
        """Return how much forgeries changed each face track of a clip.

        Args:
            media: the clip: a fake, or a real clip that others were made from.
            reading: the faces and thumbnails of its requested frames.
            tracks: its face tracks.

        Returns:
            For each forgery that can be compared (the clip itself if it is a fake), one value per track.
        """
        forgeries = [media]
        if media.label != FAKE:
            forgeries = [clip for clip in self._clips.values() if clip.base_media_id == media.media_id]
        found = (self._changes(media, forgery, reading, tracks) for forgery in forgeries)
        return [values for values in found if values is not None]

    def _changes(
        self, media: Media, forgery: Media, reading: Reading[FrameFaces], tracks: Sequence[FaceTrack]
    ) -> list[float] | None:
        frames = reading.results
        faces = {index: frame.faces for index, frame in frames.items()}
        widths = {index: frame.width for index, frame in frames.items()}
        thumbnails = {i: frame.thumbnail for i, frame in frames.items() if frame.faces and frame.thumbnail is not None}
        by_mask = track_changes(tracks, faces, widths, self._mask_maps(forgery, thumbnails))
        if by_mask is not None:
            return by_mask
        other = forgery.base_media_id if media.media_id == forgery.media_id else forgery.media_id
        if other not in self._clips:
            return None
        return track_changes(tracks, faces, widths, self._difference_maps(self._clips[other], thumbnails))

    def _mask_maps(self, forgery: Media, thumbnails: Thumbnails) -> Iterable[tuple[int, ChangeMap]]:
        if forgery.mask_path is None:
            return ()
        path = self._root / forgery.mask_path

        def marked(frame: Frame) -> ChangeMap | None:
            mask = reduced(frame.image, like=thumbnails[frame.index])
            return None if mask is None else (mask.max(axis=2) > 127).astype(np.float32)

        try:
            return _maps(read(path, _existing(thumbnails), self._decoder, _each(marked)))
        except (DfbenchError, OSError):
            return ()

    def _difference_maps(self, other: Media, thumbnails: Thumbnails) -> Iterable[tuple[int, ChangeMap]]:
        def changed(frame: Frame) -> ChangeMap | None:
            thumbnail = thumbnails[frame.index]
            image = reduced(frame.image, like=thumbnail)
            return None if image is None else difference(thumbnail, registered(image, thumbnail))

        try:
            return _maps(self._reader.read(other, _existing(thumbnails), _each(changed)))
        except Unreadable:
            return ()


def track_changes(
    tracks: Sequence[FaceTrack],
    faces: Mapping[int, Sequence[Face]],
    widths: Mapping[int, int],
    maps: Iterable[tuple[int, ChangeMap]],
) -> list[float] | None:
    """Return the mean of change maps inside the boxes of each track.

    Args:
        tracks: the tracks of a clip.
        faces: frame index -> faces of that clip, boxes in source pixels.
        widths: frame index -> width of the source frame in pixels.
        maps: (frame index, change map (height, width)) for frames that can be compared, in any order.

    Returns:
        One value per track, its mean over the frames compared; 0 for a track that is in none of them. None if no
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


def _existing(thumbnails: Thumbnails) -> Chooser:
    # The other video can be shorter; mask videos often are.
    return lambda count: [index for index in thumbnails if index < count]


def _each(make: Callable[[Frame], ChangeMap | None]) -> FrameCallback[ChangeMap | None]:
    return lambda frames: [make(frame) for frame in frames]


def _maps(reading: Reading[ChangeMap | None]) -> Iterable[tuple[int, ChangeMap]]:
    return [(index, change) for index, change in reading.results.items() if change is not None]


def _mean_inside(change: ChangeMap, box: npt.NDArray[np.floating]) -> float:
    height, width = change.shape
    x1, x2 = _inside(float(box[0]), float(box[2]), width)
    y1, y2 = _inside(float(box[1]), float(box[3]), height)
    return float(change[y1:y2, x1:x2].mean(dtype=np.float64))


def _inside(low: float, high: float, length: int) -> tuple[int, int]:
    # At least one pixel, whatever the box.
    start = min(max(math.floor(low), 0), length - 1)
    return start, min(max(math.ceil(high), start + 1), length)
