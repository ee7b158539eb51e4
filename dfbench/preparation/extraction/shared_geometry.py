"""Shared geometry: which base clips lend their faces to the clips that were made from them.

All clips of a scene group that have one compression share, or none does: were only some to share, how a crop is placed
would tell something about where it comes from. Landmarks found in an original fit the original better than its fakes,
so sharing is a choice that manifests state (``docs/geometry.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dfbench.preparation.extraction.registration import framed_apart
from dfbench.schema.media import FAKE, Media, split_archive_path

PROBES = (0, 10)
"""Frames whose framing is compared with that of the base, where the clips have them."""
LARGEST_SHIFT = 0.0025
"""Clips framed further apart than this share of the longer side do not share: 5 pixels of 1920, 1 of 320."""


@dataclass(frozen=True, eq=False)
class Extent:
    """How long and how large a clip is, and what it shows.

    Attributes:
        frames: frames that decode.
        width: in pixels.
        height: in pixels.
        probes: index of each of :data:`PROBES` that decodes -> the frame, shrunk for comparison.
    """

    frames: int
    width: int
    height: int
    probes: Mapping[int, npt.NDArray[np.uint8]]

    def fits(self, base: Extent) -> bool:
        """Whether geometry found in ``base`` lies in the right place here: size and framing are the same."""
        if (self.width, self.height) != (base.width, base.height):
            return False
        pairs = ((self.probes[i], base.probes[i]) for i in sorted(self.probes.keys() & base.probes.keys()))
        # A stream may change its size on the way; such frames get no crop (BASE_SIZE).
        return all(framed_apart(*pair) <= LARGEST_SHIFT for pair in pairs if pair[0].shape == pair[1].shape)


@dataclass(frozen=True)
class Family:
    """A base clip and the clips that take its geometry.

    Attributes:
        base: the clip in which the faces are found.
        members: media ids of all its clips, its own among them.
        frames: length of the shortest of them: all take their frame indices from it.
    """

    base: Media
    members: tuple[str, ...]
    frames: int


def families(media: Sequence[Media], extents: Mapping[str, Extent]) -> dict[str, Family]:
    """The families of a scene group, by the media id of each member.

    Args:
        media: the clips of one scene group.
        extents: media id -> extent, for those that can be read. The others give no crops and hinder nobody.

    Returns:
        For every clip that shares, its family. None of a subset's clips is in it where a fake's base is unknown, of
        another subset or unreadable, or differs from it in size or framing; where there is no fake; and where a clip
        is a ready-made crop or lies in an archive.
    """
    out: dict[str, Family] = {}
    for subset in sorted({m.subset for m in media}):
        clips = [m for m in media if m.subset == subset]
        found = _families_of_subset(clips, extents)
        out.update({name: family for family in found for name in family.members})
    return out


def _families_of_subset(clips: Sequence[Media], extents: Mapping[str, Extent]) -> list[Family]:
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
    for base_id, family in members.items():
        readable = [extents[m.media_id] for m in family if m.media_id in extents]
        if not all(extent.fits(extents[base_id]) for extent in readable[1:]):
            return []
        if readable:
            shortest = min(e.frames for e in readable)
            out.append(Family(by_id[base_id], tuple(m.media_id for m in family), shortest))
    return out


def can_share(media: Media) -> bool:
    """Whether a medium is of a kind whose geometry can be shared at all."""
    return not media.cropped and split_archive_path(media.path) is None


def count_groups(tables: Iterable[pa.Table]) -> dict[str, int]:
    """How many scene groups, counted for each compression, share their geometry and how many keep their own.

    Args:
        tables: rows with the columns scene_group, subset, label, media_id, geometry_from. Groups without a fake that
            has a crop do not count.
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
