"""Shared geometry: the faces found in a base clip are used for the clips that were made from it.

All clips of a scene group that have one compression share, or none does: if only some shared, the position of a crop
would reveal something about its origin. Landmarks found in an original fit the original better than its fakes, so
sharing is an option that manifests state (``docs/geometry.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfbench.media.frames import Chooser, Frame
from dfbench.preparation.extraction.clip_faces import (
    ClipFaces,
    ExtractionSettings,
    FrameFaces,
    crop_faces,
    frame_faces,
)
from dfbench.preparation.extraction.face_selection import NO_FACE, OTHER_FACES
from dfbench.preparation.extraction.registration import framed_apart, reduced
from dfbench.preparation.extraction.scene_reader import SceneReader, Unreadable
from dfbench.preparation.planning.sampling import MediaJob
from dfbench.schema.media import FAKE, Media, split_archive_path

PROBES = (0, 10)
"""Frames whose framing is compared with that of the base, if the clips have them."""
LARGEST_SHIFT = 0.0025
"""Clips do not share if their framing differs by more than this fraction of the longer side: 5 pixels of 1920."""

BASE_FRAME = "this frame of the base clip, which is the geometry source, does not decode"
BASE_SIZE = "the frame differs in size from that of the base clip, which is the geometry source"


@dataclass(frozen=True, eq=False)
class ClipExtent:
    """Length, size and framing of a clip.

    Attributes:
        frames: number of frames that decode.
        width: in pixels.
        height: in pixels.
        probes: index of each of :data:`PROBES` that decodes -> the frame, shrunk for comparison.
    """

    frames: int
    width: int
    height: int
    probes: Mapping[int, npt.NDArray[np.uint8]]

    def shift(self, base: ClipExtent) -> float:
        """Return how far the framing differs from that of a base clip, as a fraction of the longer side.

        It is the largest value of the probes, and infinite if the size differs. Geometry found in ``base`` is valid
        here up to :data:`LARGEST_SHIFT`.
        """
        if (self.width, self.height) != (base.width, base.height):
            return math.inf
        pairs = ((self.probes[i], base.probes[i]) for i in sorted(self.probes.keys() & base.probes.keys()))
        # The frame size of a stream may change; such frames get no crop (BASE_SIZE).
        return max((framed_apart(*pair) for pair in pairs if pair[0].shape == pair[1].shape), default=0.0)


@dataclass(frozen=True)
class GeometrySource:
    """A base clip whose faces are used for itself and the clips made from it.

    Attributes:
        base: the clip in which the faces are found.
        members: media ids of all these clips, the base included.
        frames: length of the shortest of them: all take their frame indices from it.
    """

    base: Media
    members: tuple[str, ...]
    frames: int


class SharedGeometry:
    """Gives the clips of one scene group the faces of their base clips.

    Args:
        jobs: the clips with their frame rules.
        settings: what decides the crops.
        reader: reads these clips.
        find: finds the faces of a clip in its own frames: medium, requested frames -> faces.
    """

    def __init__(
        self,
        jobs: Sequence[MediaJob],
        settings: ExtractionSettings,
        reader: SceneReader,
        find: Callable[[Media, Chooser], ClipFaces],
    ) -> None:
        self._jobs = {job.media.media_id: job for job in jobs}
        self._settings = settings
        self._reader = reader
        self._find = find
        self._sources: dict[str, GeometrySource] | None = None
        self._shifts: dict[str, float] = {}
        self._base_faces: dict[str, ClipFaces] = {}

    def source_of(self, media: Media) -> GeometrySource | None:
        """Return the geometry source of a clip; None if its faces are found in the clip itself."""
        if self._sources is None:
            clips = [job.media for job in self._jobs.values()]
            extents = {clip.media_id: self._extent(clip) for clip in clips if can_share(clip)}
            readable = {name: extent for name, extent in extents.items() if extent is not None}
            self._shifts = shifts_to_base(clips, readable)
            self._sources = geometry_sources(clips, readable, self._shifts)
        return self._sources.get(media.media_id)

    def shift_of(self, media: Media) -> float | None:
        """Return how far the framing of a fake differs from that of its base, shared or not; None if it is unknown.

        To be called after :meth:`source_of`.
        """
        shift = self._shifts.get(media.media_id, math.inf)
        return shift if math.isfinite(shift) else None

    def faces(self, job: MediaJob, source: GeometrySource) -> ClipFaces:
        """Return the faces of a clip by the geometry of its source, cropped from its own frames.

        Raises:
            Unreadable: no frame of the clip, or of the base, can be read.
        """
        base = self._faces_of_base(source)
        indices = self._reader.requested(job.media, source.frames, source.base.media_id)
        if job.media.media_id == source.base.media_id:
            return replace(base, reading=base.reading.subset(indices))
        # A clip whose last frames do not decode can be shorter than its packets say.
        reading = self._reader.read_requested(
            job.media,
            lambda count: [i for i in indices if i < count],
            lambda frames: [self._base_faces_in(frame, base) for frame in frames],
        )
        chosen = {index: tuple(range(len(frame.faces))) for index, frame in reading.results.items()}
        return ClipFaces(reading, chosen, source.base.media_id)

    def _extent(self, media: Media) -> ClipExtent | None:
        try:
            reading = self._reader.read(
                media,
                lambda count: [index for index in PROBES if index < count],
                lambda frames: [reduced(frame.image) for frame in frames],
            )
        except Unreadable:
            return None
        probes = {index: probe for index, probe in reading.results.items() if probe is not None}
        return ClipExtent(reading.frame_count, reading.width, reading.height, probes)

    def _faces_of_base(self, source: GeometrySource) -> ClipFaces:
        base = source.base.media_id
        if base not in self._base_faces:
            # Frame rules can request other frames of each member: totals request more frames of reals than of fakes.
            clips = [self._jobs[member].media for member in source.members]
            requested = sorted({n for clip in clips for n in self._reader.requested(clip, source.frames, base)})
            self._base_faces[base] = self._find(source.base, lambda count: [i for i in requested if i < count])
        return self._base_faces[base]

    def _base_faces_in(self, frame: Frame, base: ClipFaces) -> FrameFaces:
        of_base = base.reading.results.get(frame.index)
        height, width = frame.image.shape[:2]
        if of_base is None:
            return frame_faces(frame, (), (), 0, reason=BASE_FRAME)
        if (of_base.width, of_base.height) != (width, height):
            return frame_faces(frame, (), (), of_base.detected, reason=BASE_SIZE)
        faces = [of_base.faces[position] for position in base.chosen[frame.index]]
        crops = crop_faces(frame.image, faces, self._settings)
        return frame_faces(frame, faces, crops, of_base.detected, reason=OTHER_FACES if of_base.faces else NO_FACE)


def shifts_to_base(media: Sequence[Media], extents: Mapping[str, ClipExtent]) -> dict[str, float]:
    """Return media id -> :meth:`ClipExtent.shift` of the fakes that can be compared with their base.

    Args:
        media: the clips of one scene group.
        extents: media id -> extent, for those that can be read.
    """
    pairs = [(m.media_id, m.base_media_id or "") for m in media if m.label == FAKE]
    return {fake: extents[fake].shift(extents[base]) for fake, base in pairs if fake in extents and base in extents}


def geometry_sources(
    media: Sequence[Media], extents: Mapping[str, ClipExtent], shifts: Mapping[str, float] | None = None
) -> dict[str, GeometrySource]:
    """Return the geometry sources of a scene group's clips.

    Args:
        media: the clips of one scene group.
        extents: media id -> extent, for those that can be read. The others give no crops and affect no other clip.
        shifts: from :func:`shifts_to_base`, if they are at hand.

    Returns:
        Media id -> geometry source, for every clip that shares. No clip of a subset shares if a fake's base is
        unknown, of another subset or unreadable, or differs from it in size or framing; if there is no fake; or if a
        clip is a ready-made crop or inside an archive.
    """
    known = shifts_to_base(media, extents) if shifts is None else shifts
    out: dict[str, GeometrySource] = {}
    for subset in sorted({m.subset for m in media}):
        clips = [m for m in media if m.subset == subset]
        sources = _sources_of_subset(clips, extents, known)
        out.update({name: source for source in sources for name in source.members})
    return out


def _sources_of_subset(
    clips: Sequence[Media], extents: Mapping[str, ClipExtent], shifts: Mapping[str, float]
) -> list[GeometrySource]:
    by_id = {m.media_id: m for m in clips}
    fakes = [m for m in clips if m.label == FAKE]
    if not fakes or not all(can_share(m) for m in clips):
        return []
    members: dict[str, list[Media]] = {m.media_id: [m] for m in clips if m.label != FAKE}
    for fake in fakes:
        if fake.base_media_id not in members or fake.base_media_id not in extents:
            return []
        members[fake.base_media_id].append(fake)
    out = []
    for base_id, group in members.items():
        readable = [extents[m.media_id] for m in group if m.media_id in extents]
        if not all(shifts[m.media_id] <= LARGEST_SHIFT for m in group[1:] if m.media_id in extents):
            return []
        if readable:
            shortest = min(e.frames for e in readable)
            out.append(GeometrySource(by_id[base_id], tuple(m.media_id for m in group), shortest))
    return out


def can_share(media: Media) -> bool:
    """Whether a medium is of a kind whose geometry can be shared at all."""
    return not media.cropped and split_archive_path(media.path) is None


def count_groups(tables: Iterable[pa.Table]) -> dict[str, int]:
    """Count the scene groups, per compression, that share their geometry (``shared``) and that do not (``own``).

    Args:
        tables: rows with the columns scene_group, subset, label, media_id, geometry_from. Groups without a fake that
            has a crop are not counted.
    """
    shares: dict[tuple[str, str], bool] = {}
    columns = ("scene_group", "subset", "label", "media_id", "geometry_from")
    for table in tables:
        for group, subset, label, media_id, source in zip(*(table[c].to_pylist() for c in columns), strict=True):
            if label == FAKE and source is not None:
                key = (group, subset)
                shares[key] = shares.get(key, True) and source != media_id
    shared = sum(shares.values())
    return {"shared": shared, "own": len(shares) - shared}
