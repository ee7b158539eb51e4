"""The clips of one scene group become rows: each by itself, or with regard to the clip it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfbench.datasets.ffpp import find_mask
from dfbench.errors import DfbenchError
from dfbench.faces.detectors import Face, FaceDetector
from dfbench.media.reader import Chooser, Frame, Look, Reading, read
from dfbench.preparation.extraction.change_maps import difference, reduced, track_changes
from dfbench.preparation.extraction.face_selection import (
    NO_FACE,
    OTHER_FACES,
    Candidates,
    Choice,
    choose,
    follow,
    most_changed,
)
from dfbench.preparation.extraction.masks import with_masks
from dfbench.preparation.extraction.media_source import Sources, Unreadable
from dfbench.preparation.extraction.registration import registered
from dfbench.preparation.extraction.rows import (
    BASE_FRAME,
    BASE_SIZE,
    GIVEN_UP,
    Cropper,
    Row,
    Seen,
    SeenClip,
    crops_of_faces,
    crops_of_whole,
    rows_of_clip,
    rows_of_crops,
    unreadable_rows,
)
from dfbench.preparation.extraction.shared_geometry import PROBES, Extent, Family, can_share, families
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import FAKE, Media

Map = npt.NDArray[np.float32]


class Scene:
    """One scene group's clips and what they need of each other.

    Args:
        jobs: its clips with their frame rules.
        root: folder that media paths are relative to.
        cropper: detector, profile, sizes, and the rules for faces and geometry.
        opening: called with a medium's id before it is opened, which need not be the one whose rows are made.
    """

    def __init__(
        self,
        jobs: Sequence[MediaJob],
        root: Path,
        cropper: Cropper,
        opening: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._jobs = {job.media.media_id: job for job in jobs}
        self._root = root
        self._cropper = cropper
        self._sources = Sources(jobs, root, cropper.decoder, opening)
        self._families: dict[str, Family] | None = None
        self._lent: dict[str, _Lent] = {}

    def rows(self, job: MediaJob) -> list[Row]:
        """All rows of one of the clips, by rising frame index (a clip that gives no frame: -1, -2, ...)."""
        rows = self._rows(job)
        return with_masks(rows, job.media, self._root, self._cropper) if self._cropper.extras.masks else rows

    def _rows(self, job: MediaJob) -> list[Row]:
        media = job.media
        try:
            self._refuse_given_up(media)
            if media.cropped:
                return rows_of_crops(media, self._see(media, self._own_chooser(job), self._look_at_crops))
            family = self._family(media)
            if family is not None:
                return self._shared_rows(job, family)
            clip = self._see(media, self._own_chooser(job), self._look_for_faces)
            return rows_of_clip(media, clip, self._choose(media, clip))
        except Unreadable as error:
            return unreadable_rows(media, job.sampling.rows_if_unreadable, error.status, error.reason)

    def _refuse_given_up(self, media: Media) -> None:
        if media.media_id in self._cropper.given_up:
            raise Unreadable("decode_error", GIVEN_UP)

    @staticmethod
    def _own_chooser(job: MediaJob) -> Chooser:
        return lambda count: job.sampling.indices(count, job.media.media_id)

    # What frames show

    def _see(self, media: Media, chooser: Chooser, look: Look) -> SeenClip:
        found = self._sources.read(media, chooser, look)
        frames = {index: replace(glimpse.made, time_s=glimpse.time_s) for index, glimpse in found.seen.items()}
        if not (frames or found.errors):
            raise Unreadable("decode_error", "no frame decodes")
        return SeenClip(found.frame_count, found.width, found.height, frames, found.errors)

    def _look_for_faces(self, frames: Sequence[Frame]) -> list[Seen]:
        return [
            self._seen_faces(frame, faces)
            for frame, faces in zip(frames, _detect(frames, self._cropper.detector), strict=True)
        ]

    def _seen_faces(self, frame: Frame, faces: Sequence[Face]) -> Seen:
        cropper = self._cropper
        cut = faces[:1] if cropper.face_rule == "largest" else faces
        small = reduced(frame.image) if cropper.face_rule == "manipulated" else None
        return _seen(frame, faces, crops_of_faces(frame.image, cut, cropper), len(faces), small)

    def _look_at_crops(self, frames: Sequence[Frame]) -> list[Seen]:
        return [_seen(frame, (), (crops_of_whole(frame.image, self._cropper),), 0) for frame in frames]

    # Which faces

    def _choose(self, media: Media, clip: SeenClip) -> Choice:
        faces = {index: seen.faces for index, seen in clip.frames.items()}
        choice = choose(faces, self._cropper.face_rule)
        if not isinstance(choice, Candidates):
            return choice
        forgeries = [media] if media.label == FAKE else self._made_from(media)
        changes = (self._changes(media, fake, clip, choice) for fake in forgeries)
        return follow(faces, most_changed(choice.tracks, [c for c in changes if c is not None]))

    def _made_from(self, real: Media) -> list[Media]:
        return [job.media for job in self._jobs.values() if job.media.base_media_id == real.media_id]

    def _changes(self, media: Media, fake: Media, clip: SeenClip, candidates: Candidates) -> list[float] | None:
        """How much ``fake`` changed each track of ``media``, which is the fake itself or its base."""
        faces = {index: seen.faces for index, seen in clip.frames.items()}
        widths = {index: seen.width for index, seen in clip.frames.items()}
        small = {index: seen.reduced for index, seen in clip.frames.items() if seen.faces and seen.reduced is not None}
        marked = track_changes(candidates.tracks, faces, widths, self._mask_maps(fake, small))
        if marked is not None:
            return marked
        other = fake.base_media_id if media.media_id == fake.media_id else fake.media_id
        if other not in self._jobs:
            return None
        return track_changes(candidates.tracks, faces, widths, self._difference_maps(self._jobs[other].media, small))

    def _mask_maps(self, fake: Media, small: _Reduced) -> Iterable[tuple[int, Map]]:
        path = find_mask(fake, self._root)
        if path is None:
            return ()

        def marked(frame: Frame) -> Map | None:
            mask = reduced(frame.image, like=small[frame.index])
            return None if mask is None else (mask.max(axis=2) > 127).astype(np.float32)

        try:
            # Masks can be far shorter than their clips.
            found = read(path, _present(small), self._cropper.decoder, lambda frames: [*map(marked, frames)])
        except (DfbenchError, OSError):
            return ()
        return _maps(found)

    def _difference_maps(self, other: Media, small: _Reduced) -> Iterable[tuple[int, Map]]:
        def changed(frame: Frame) -> Map | None:
            picture = reduced(frame.image, like=small[frame.index])
            if picture is None:
                return None
            return difference(small[frame.index], registered(picture, small[frame.index]))

        try:
            self._refuse_given_up(other)
            found = self._sources.read(other, _present(small), lambda frames: [*map(changed, frames)])
        except Unreadable:
            return ()
        return _maps(found)

    # Shared geometry

    def _family(self, media: Media) -> Family | None:
        if not self._cropper.shared:
            return None
        if self._families is None:
            clips = [job.media for job in self._jobs.values()]
            self._families = families(clips, self._extents(clips))
        return self._families.get(media.media_id)

    def _extents(self, clips: Sequence[Media]) -> dict[str, Extent]:
        out = {}
        for media in clips:
            if can_share(media):
                try:
                    self._refuse_given_up(media)
                    found = self._sources.read(media, _probes, lambda frames: [reduced(f.image) for f in frames])
                except Unreadable:
                    continue
                probes = {index: glimpse.made for index, glimpse in found.seen.items()}
                out[media.media_id] = Extent(found.frame_count, found.width, found.height, probes)
        return out

    def _shared_rows(self, job: MediaJob, family: Family) -> list[Row]:
        base = family.base
        lent = self._lent_by(family)
        indices = job.sampling.indices(family.frames, base.media_id)
        if job.media.media_id == base.media_id:
            frames = {i: lent.clip.frames[i] for i in indices if i in lent.clip.frames}
            errors = {i: lent.clip.errors[i] for i in indices if i in lent.clip.errors}
            clip = SeenClip(lent.clip.frame_count, lent.clip.width, lent.clip.height, frames, errors)
            return rows_of_clip(base, clip, lent.choice)
        reasons: dict[int, str] = {}

        def look(frame: Frame) -> Seen:
            seen = lent.clip.frames.get(frame.index)
            height, width = frame.image.shape[:2]
            faces: tuple[Face, ...] = ()
            if seen is None:
                reasons[frame.index] = BASE_FRAME
            elif (seen.width, seen.height) != (width, height):
                reasons[frame.index] = BASE_SIZE
            else:
                faces = tuple(seen.faces[place] for place in lent.choice[frame.index])
                reasons[frame.index] = OTHER_FACES if seen.faces else NO_FACE
            found = seen.found if seen is not None else 0
            return _seen(frame, faces, crops_of_faces(frame.image, faces, self._cropper), found)

        # A clip whose end does not decode after all can be shorter than it claimed.
        clip = self._see(
            job.media, lambda count: [i for i in indices if i < count], lambda frames: [*map(look, frames)]
        )
        choice = {index: tuple(range(len(seen.faces))) for index, seen in clip.frames.items()}
        return rows_of_clip(job.media, clip, choice, base.media_id, reasons)

    def _lent_by(self, family: Family) -> _Lent:
        base = family.base
        if base.media_id not in self._lent:
            # Rules can want other frames of each member: totals give reals more than fakes.
            wanted = sorted(
                {
                    index
                    for name in family.members
                    for index in self._jobs[name].sampling.indices(family.frames, base.media_id)
                }
            )
            clip = self._see(base, lambda count: [i for i in wanted if i < count], self._look_for_faces)
            self._lent[base.media_id] = _Lent(clip, self._choose(base, clip))
        return self._lent[base.media_id]


_Reduced = Mapping[int, npt.NDArray[np.uint8]]


class _Lent:
    """What a base clip lends: what it showed, and which of its faces are chosen."""

    def __init__(self, clip: SeenClip, choice: Choice) -> None:
        self.clip = clip
        self.choice = choice


def _maps(found: Reading) -> Iterable[tuple[int, Map]]:
    return ((index, glimpse.made) for index, glimpse in found.seen.items() if glimpse.made is not None)


def _probes(count: int) -> list[int]:
    return [index for index in PROBES if index < count]


def _present(small: _Reduced) -> Chooser:
    return lambda count: [index for index in small if index < count]


def _seen(
    frame: Frame,
    faces: Sequence[Face],
    crops: tuple[Row | str, ...],
    found: int,
    small: npt.NDArray[np.uint8] | None = None,
) -> Seen:
    height, width = frame.image.shape[:2]
    return Seen(frame.time_s, width, height, tuple(faces), crops, found, small)


def _detect(frames: Sequence[Frame], detector: FaceDetector) -> list[list[Face]]:
    # A detector takes frames of one size; a stream may change its size on the way.
    found: list[list[Face]] = [[] for _ in frames]
    shapes = dict.fromkeys(f.image.shape for f in frames)
    for shape in shapes:
        places = [n for n, f in enumerate(frames) if f.image.shape == shape]
        for n, faces in zip(places, detector.detect_clip([frames[n].image for n in places]), strict=True):
            found[n] = faces
    return found
