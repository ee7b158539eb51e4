"""The recipe of a manifest: everything that decides its rows and pixels, as one value with a hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dfbench.errors import DataError
from dfbench.faces.base import DetectorChoice
from dfbench.io import canonical_hash
from dfbench.manifest.degraded import VERSION as DEGRADE_VERSION
from dfbench.manifest.shards import ROW_GROUP
from dfbench.media.limits import MOST_PIXELS
from dfbench.schema.random_media import RandomSubset
from dfbench.schema.sampling import FaceRule, Rule, make_rule

PATCH_RULE = "square of 2 native crops"
MASK_RULE = "mask video, cropped like the face"

DEFAULT_MOST_PIXELS = 64_000_000

# Increased when the same recipe would give other rows or pixels than before.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class MediaSelection:
    """A selection of media; empty tuples select all. Reals are selected whatever ``manipulations`` says.

    Attributes:
        subsets: compression levels.
        splits: ``train``, ``val``, ``test``.
        manipulations: methods of the fakes.
        sampling: sampling rule of these media where it is not the recipe's.
        take: how many of them are sampled at random; None: all.
    """

    subsets: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    manipulations: tuple[str, ...] = ()
    sampling: Rule | None = None
    take: RandomSubset | None = None

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation are selected."""
        return (
            (not self.subsets or subset in self.subsets)
            and (not self.splits or split in self.splits)
            and (manipulation == "real" or not self.manipulations or manipulation in self.manipulations)
        )

    def to_json(self) -> dict[str, Any]:
        """The selection as the recipe stores it; the order in which names were given does not matter."""
        names: dict[str, Any] = {k: sorted(getattr(self, k)) for k in ("subsets", "splits", "manipulations")}
        sampling = {} if self.sampling is None else {"sampling": self.sampling.to_json()}
        return names | sampling | ({} if self.take is None else {"take": asdict(self.take)})


@dataclass(frozen=True)
class PreparationRecipe:
    """Everything that decides rows and pixels. Library versions are stored beside it in ``manifest.json``.

    Attributes:
        dataset: command-line name.
        selections: which media; a medium is used if one of these selects it.
        sampling: which frames, of selections without a rule of their own.
        sizes: crop sizes in pixels, in rising order.
        profile: crop profile.
        decoder: video reader.
        face_detector: name of the face detector.
        face_detector_fingerprint: identifies its weights and settings.
        seed: of everything that is sampled at random.
        source: settings of a generated data set; empty for one read from disk.
        geometry: ``own``: faces are found in every clip; ``shared``: in the base clip for all clips made from it.
        face_rule: which faces of a frame become rows.
        storage: how crops are stored.
        patch: whether the source pixels around each face are stored as well.
        masks: whether crops of mask videos are stored as well.
        degrade: condition of the crops; empty: clean.
        landmarks: name of the provider of dense landmarks; empty: none.
        landmarks_fingerprint: identifies its weights and settings.
        most_pixels: pixels of a frame or image beyond which it is not decoded.
        runtime: what runs the networks of the face detector on this machine, with version; not in the recipe's hash.
        local: the face detector with paths and device of this machine, which do not belong to the recipe.
        local_landmarks: model file of the landmark provider on this machine; None: found by the provider itself.
    """

    dataset: str
    selections: tuple[MediaSelection, ...]
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
    most_pixels: int = MOST_PIXELS
    runtime: str = field(default="", compare=False)
    local: DetectorChoice | None = field(default=None, compare=False)
    local_landmarks: str | None = field(default=None, compare=False)

    @property
    def uses_masks(self) -> bool:
        """Whether mask videos decide rows: their crops are stored, or they tell which face was manipulated."""
        return self.masks or self.face_rule == "manipulated"

    @property
    def extras(self) -> tuple[str, ...]:
        """Groups of optional columns; the landmarks of dlib are dense landmarks as well."""
        dense = bool(self.landmarks) or self.face_detector == "dlib"
        wanted = {"patch": self.patch, "masks": self.masks, "dense": dense}
        return tuple(group for group, on in wanted.items() if on)

    def takes(self, subset: str, split: str, manipulation: str) -> bool:
        """Whether media of this subset, split and manipulation are used."""
        return any(selection.takes(subset, split, manipulation) for selection in self.selections)

    def rule_of(self, subset: str, split: str, manipulation: str) -> Rule:
        """The sampling rule of media of this subset, split and manipulation."""
        for selection in self.selections:
            if selection.sampling is not None and selection.takes(subset, split, manipulation):
                return selection.sampling
        return self.sampling

    def to_json(self) -> dict[str, Any]:
        """The recipe as ``manifest.json`` stores it: plain values, names sorted where their order does not matter."""
        parts = sorted((s.to_json() for s in self.selections), key=lambda part: json.dumps(part, sort_keys=True))
        faces = {} if self.face_rule == "largest" else {"face_rule": self.face_rule}
        extras: dict[str, Any] = {"patch": PATCH_RULE} if self.patch else {}
        if self.masks:
            extras |= {"masks": MASK_RULE}
        if self.degrade:
            extras |= {"degrade": {"version": DEGRADE_VERSION, "condition": self.degrade}}
        if self.landmarks:
            extras |= {"landmarks": {"name": self.landmarks, "fingerprint": self.landmarks_fingerprint}}
        if self.most_pixels != DEFAULT_MOST_PIXELS:
            extras |= {"most_pixels": self.most_pixels}
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
    """:meth:`PreparationRecipe.rule_of` of a recipe as ``manifest.json`` stores it.

    Raises:
        DataError: the recipe states no sampling rule.
    """
    if "sampling" not in recipe:
        raise DataError("the recipe in manifest.json states no sampling rule", "prepare the data set again")
    for values in recipe.get("parts", ()):
        subsets, splits, methods = (tuple(values.get(key, ())) for key in ("subsets", "splits", "manipulations"))
        names = MediaSelection(subsets, splits, methods)
        if "sampling" in values and names.takes(subset, split, manipulation):
            return make_rule(values["sampling"])
    return make_rule(recipe["sampling"])


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The values in which two recipes differ, field by field, as ``field: old -> new``.

    >>> differences({"sizes": [128], "sampling": {"frames": 32}}, {"sizes": [128, 224], "sampling": {"frames": 8}})
    ['sampling.frames: 32 -> 8', 'sizes: [128] -> [128, 224]']
    >>> differences({"seed": 0}, {"seed": 0, "patch": "square"})
    ['patch: none -> square']
    """
    before, after = _flat(old), _flat(new)
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in names]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    # Dotted names -> values as text; lists of objects are numbered from 1.
    out: dict[str, str] = {}
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            out |= _flat(entry, f"{prefix}{key}.")
        elif isinstance(entry, list | tuple) and any(isinstance(item, Mapping) for item in entry):
            out |= _flat({str(n): item for n, item in enumerate(entry, 1)}, f"{prefix}{key}.")
        else:
            out[prefix + key] = entry if isinstance(entry, str) else json.dumps(entry)
    return out
