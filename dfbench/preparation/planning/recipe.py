"""The recipe of a manifest: everything that decides its rows and pixels, as one value with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dfbench.faces.base import DetectorChoice
from dfbench.manifest.degraded import VERSION as DEGRADE_VERSION
from dfbench.manifest.shards import ROW_GROUP
from dfbench.schema.random_media import RandomSubset
from dfbench.schema.sampling import FaceRule, Rule, make_rule

PATCH_RULE = "square of 2 native crops"
MASK_RULE = "mask video, cropped like the face"

# Raised when the same recipe would give other rows or pixels than before.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class Part:
    """A choice of media; empty tuples choose all. Reals are chosen whatever ``manipulations`` says.

    ``sampling`` is the frame rule of these media where it is not the recipe's, ``take`` how many of them are drawn.
    """

    subsets: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    manipulations: tuple[str, ...] = ()
    sampling: Rule | None = None
    take: RandomSubset | None = None

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation belong to this part."""
        return (
            (not self.subsets or subset in self.subsets)
            and (not self.splits or split in self.splits)
            and (manipulation == "real" or not self.manipulations or manipulation in self.manipulations)
        )

    def to_json(self) -> dict[str, Any]:
        """The part as it stands in a recipe; the order in which names were given does not matter."""
        names: dict[str, Any] = {k: sorted(getattr(self, k)) for k in ("subsets", "splits", "manipulations")}
        sampling = {} if self.sampling is None else {"sampling": self.sampling.to_json()}
        return names | sampling | ({} if self.take is None else {"take": asdict(self.take)})


@dataclass(frozen=True)
class Recipe:
    """What decides rows and pixels. Library versions stand beside it in ``manifest.json``, not in it.

    Attributes:
        dataset: command-line name.
        parts: which media; a medium takes part if one of these takes it.
        sampling: which frames, of parts that have no rule of their own.
        sizes: crop sizes in pixels, rising.
        profile: crop profile.
        decoder: video reader.
        face_detector: name of the face detector.
        face_detector_fingerprint: identifies its weights and settings.
        seed: for whatever draws at random.
        source: settings of a generated data set; empty for one read from disk.
        geometry: ``own``: faces are found in every clip itself; ``shared``: in the base clip for all made from it.
        face_rule: which faces of a frame become rows.
        storage: how crops are stored.
        patch: whether the source around each face is stored as well.
        masks: whether crops of mask videos are stored as well.
        degrade: condition that the crops are under; empty: clean.
        landmarks: name of the provider of dense landmarks; empty: none.
        landmarks_fingerprint: identifies its weights and settings.
        local: the face detector with paths and device of this machine, which are not part of the recipe.
    """

    dataset: str
    parts: tuple[Part, ...]
    sampling: Rule
    sizes: tuple[int, ...]
    profile: str
    decoder: str
    face_detector: str
    face_detector_fingerprint: str
    seed: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    geometry: str = "own"
    face_rule: FaceRule = "largest"
    storage: str = "png"
    patch: bool = False
    masks: bool = False
    degrade: str = ""
    landmarks: str = ""
    landmarks_fingerprint: str = ""
    local: DetectorChoice | None = field(default=None, compare=False)

    @property
    def extras(self) -> tuple[str, ...]:
        """Groups of optional columns; dlib's own parts are dense landmarks too."""
        dense = bool(self.landmarks) or self.face_detector == "dlib"
        wanted = {"patch": self.patch, "masks": self.masks, "dense": dense}
        return tuple(group for group, on in wanted.items() if on)

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation take part."""
        return any(part.takes(subset, split, manipulation) for part in self.parts)

    def rule_of(self, subset: str, split: str, manipulation: str) -> Rule:
        """The frame rule of media of this subset, split and manipulation."""
        own = (p.sampling for p in self.parts if p.sampling is not None and p.takes(subset, split, manipulation))
        return next(own, self.sampling)

    def to_json(self) -> dict[str, Any]:
        """The recipe as ``manifest.json`` keeps it: plain values, names sorted where their order means nothing."""
        parts = sorted((p.to_json() for p in self.parts), key=lambda p: json.dumps(p, sort_keys=True))
        faces = {} if self.face_rule == "largest" else {"face_rule": self.face_rule}
        extras: dict[str, Any] = {"patch": PATCH_RULE} if self.patch else {}
        if self.masks:
            extras |= {"masks": MASK_RULE}
        if self.degrade:
            extras |= {"degrade": {"version": DEGRADE_VERSION, "condition": self.degrade}}
        if self.landmarks:
            extras |= {"landmarks": {"name": self.landmarks, "fingerprint": self.landmarks_fingerprint}}
        return (
            faces
            | extras
            | {
                "version": RECIPE_VERSION,
                "dataset": self.dataset,
                "parts": parts,
                "sampling": self.sampling.to_json(),
                "sizes": list(self.sizes),
                "profile": self.profile,
                "geometry": self.geometry,
                "faces_per_frame": "all" if self.face_rule == "all" else 1,
                "decoder": self.decoder,
                "face_detector": {"name": self.face_detector, "fingerprint": self.face_detector_fingerprint},
                "storage": {"crops": self.storage, "row_group": ROW_GROUP},
                "seed": self.seed,
                "source": dict(self.source),
            }
        )

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return canonical_hash(self.to_json())


def rule_in(recipe: Mapping[str, Any], subset: str, split: str, manipulation: str) -> Rule:
    """:meth:`Recipe.rule_of` of a recipe as ``manifest.json`` keeps it."""
    for values in recipe.get("parts", ()):
        part = Part(tuple(values["subsets"]), tuple(values["splits"]), tuple(values["manipulations"]))
        if "sampling" in values and part.takes(subset, split, manipulation):
            return make_rule(values["sampling"])
    return make_rule(recipe["sampling"])


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
