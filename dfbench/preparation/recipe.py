"""The recipe of a manifest: everything that decides its rows and pixels, as one value with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dfbench.manifest.shards import ROW_GROUP
from dfbench.preparation.sampling import FrameSampling

# Raised when the same recipe would give other rows or pixels than before.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class Part:
    """A choice of media; empty tuples choose all. Reals are chosen whatever ``manipulations`` says."""

    subsets: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    manipulations: tuple[str, ...] = ()

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation belong to this part."""
        return (
            (not self.subsets or subset in self.subsets)
            and (not self.splits or split in self.splits)
            and (manipulation == "real" or not self.manipulations or manipulation in self.manipulations)
        )

    def to_json(self) -> dict[str, list[str]]:
        """The part as it stands in a recipe; the order in which names were given does not matter."""
        return {k: sorted(getattr(self, k)) for k in ("subsets", "splits", "manipulations")}


@dataclass(frozen=True)
class Recipe:
    """What decides rows and pixels. Library versions stand beside it in ``manifest.json``, not in it.

    Attributes:
        dataset: command-line name.
        parts: which media; a medium takes part if one of these takes it.
        sampling: which frames.
        sizes: crop sizes in pixels, rising.
        profile: crop profile.
        decoder: video reader.
        face_detector: name of the face detector.
        face_detector_fingerprint: identifies its weights and settings.
        seed: for whatever draws at random.
        source: settings of a generated data set; empty for one read from disk.
        geometry: ``own``: faces are found in every clip itself.
        storage: how crops are stored.
    """

    dataset: str
    parts: tuple[Part, ...]
    sampling: FrameSampling
    sizes: tuple[int, ...]
    profile: str
    decoder: str
    face_detector: str
    face_detector_fingerprint: str
    seed: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    geometry: str = "own"
    storage: str = "png"

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation take part."""
        return any(part.takes(subset, split, manipulation) for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """The recipe as ``manifest.json`` keeps it: plain values, names sorted where their order means nothing."""
        parts = sorted((p.to_json() for p in self.parts), key=lambda p: json.dumps(p, sort_keys=True))
        return {
            "version": RECIPE_VERSION,
            "dataset": self.dataset,
            "parts": parts,
            "sampling": self.sampling.to_json(),
            "sizes": list(self.sizes),
            "profile": self.profile,
            "geometry": self.geometry,
            "faces_per_frame": 1,
            "decoder": self.decoder,
            "face_detector": {"name": self.face_detector, "fingerprint": self.face_detector_fingerprint},
            "storage": {"crops": self.storage, "row_group": ROW_GROUP},
            "seed": self.seed,
            "source": dict(self.source),
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return canonical_hash(self.to_json())


def canonical_hash(value: Mapping[str, Any]) -> str:
    """SHA-256 of JSON with sorted keys and no spaces.

    >>> canonical_hash({"b": 1, "a": 2}) == canonical_hash({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names of the entries in which two recipes differ.

    >>> differences({"sizes": [128], "seed": 0}, {"sizes": [224], "seed": 0})
    ['sizes']
    """
    return sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
