"""A protocol for any folder of labelled images and clips, so that it can be evaluated without writing one."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.config import manifests_home
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, ModelError, UsageError
from dfbench.faces.profile_match import APPROXIMATE
from dfbench.io import canonical_hash
from dfbench.models.card import face_detector_of, read_card
from dfbench.models.source import ModelSource
from dfbench.protocols.protocol import Protocol
from dfbench.schema.media import FAKE, REAL, SPLITS, Media

_METRICS = ("acc", "bacc", "auc", "eer", "ap")
_PROTOCOL = """\
# Written by: dfbench evaluate --data
# Repeat the run: dfbench evaluate --model M --weights W --protocol protocol.toml --manifest {manifest}
name = "folder/{slug}"
version = 1
source = "labelled media in a folder"
summary = "Evaluation of the folder {slug}: no training, no published numbers"

{parts}
[sampling]
frames = {frames}

[crops]
profile = "{profile}"
size = {size}

[selection]
split = "none"

[metrics]
names = [{metrics}]
"""
_PART = """\
[[data]]
role = "test"
dataset = "{dataset}"
split = "{split}"
"""


@dataclass(frozen=True, eq=False)
class LabelledFolder:
    """A folder of labelled media, ready to be prepared and evaluated.

    Attributes:
        root: the folder.
        dataset: its name as a data set, ``folder:NAME``.
        protocol: a protocol that only tests.
        text: the protocol as TOML.
        manifest: the folder of its manifest in the workspace; it depends on the root and the protocol.
        face_detector: that of the training data where it is known and installed.
        notes: remarks for the user.
    """

    root: Path
    dataset: str
    protocol: Protocol
    text: str
    manifest: Path
    face_detector: str
    notes: tuple[str, ...]

    @property
    def preparation(self) -> dict[str, Any]:
        """Arguments of the folder's preparation."""
        return {
            "root": self.root,
            "out": self.manifest,
            "protocol": self.protocol,
            "face_detector": self.face_detector,
        }


def plan_folder(root: Path, source: ModelSource, weights: Path | None, frames: int) -> LabelledFolder:
    """List a folder and write the protocol that evaluates it; no medium is opened.

    Crops are made as those that the weights were trained on. Where the folder has a split ``test``, that split is
    evaluated, else everything.

    Args:
        root: a folder with subfolders ``real`` and ``fake``, or with ``media.csv``.
        source: the detector.
        weights: its weight file; None: a custom detector with the weights from its constructor.
        frames: frames per clip, evenly spaced.

    Raises:
        UsageError: ``frames`` is out of range.
        DataError: the folder does not exist, or none of its media has a label.
        ModelError: a registered detector without weights, or weights without a card.
    """
    if weights is None and not source.is_custom:
        raise ModelError(
            f"evaluating {root} needs weights of {source.name!r}",
            f"give --weights FILE; to train some: dfbench train --model {source.name} --protocol P",
        )
    if frames < 1:
        raise UsageError(f"frames must be at least 1, not {frames}", "for example frames=32")
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", "check the path of --data")
    card = read_card(weights) if weights is not None else None
    profile = card.profile.rstrip(APPROXIMATE) if card is not None else "native"
    size = card.size if card is not None else source.spec.sizes[0]
    slug = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower()).strip("-") or "data"
    dataset = f"folder:{slug}"
    media = _labelled_media(root, dataset)
    splits = [split for split in SPLITS if any(m.split == split for m in media)]
    used = [split for split in splits if split == "test"] or splits
    evaluated = [m for m in media if m.split in used]
    levels = ("frame",) if all(m.kind == "image" for m in evaluated) else ("frame", "video.mean")
    fields = {
        "slug": slug,
        "parts": "\n".join(_PART.format(dataset=dataset, split=split) for split in used),
        "frames": frames,
        "profile": profile,
        "size": size,
        "metrics": ", ".join(f'"{metric}.{level}"' for level in levels for metric in _METRICS),
    }
    protocol = Protocol.model_validate(tomllib.loads(_PROTOCOL.format(manifest="DIR", **fields)))
    detector = face_detector_of(card)
    identity = canonical_hash([str(root.resolve()), protocol.hash, detector])[:8]
    manifest = manifests_home() / f"folder-{slug}-{identity}"
    text = _PROTOCOL.format(manifest=manifest.as_posix(), **fields)
    return LabelledFolder(root, dataset, protocol, text, manifest, detector, _notes(root, media, used))


def _labelled_media(root: Path, dataset: str) -> tuple[Media, ...]:
    try:
        return get_adapter(dataset).scan(root).media
    except DataError as error:
        raise DataError(
            f"{root} cannot be evaluated: {error.message}",
            f"{error.hint}; for media without labels: dfbench score {root} --model M --weights W",
        ) from error


def _notes(root: Path, media: Sequence[Media], used: Sequence[str]) -> tuple[str, ...]:
    notes = []
    others = Counter(m.split for m in media if m.split not in used)
    if others:
        skipped = ", ".join(f"{n} media of split {split!r}" for split, n in others.items())
        notes.append(f"{root} has a test split, which is evaluated; skipped: {skipped}")
    labels = {m.label for m in media if m.split in used}
    for label, name, other in ((REAL, "real", "fake"), (FAKE, "fake", "real")):
        if labels == {label}:
            notes.append(f"{root} has only {name} media: AUC, EER and AP need {other} ones too and are undefined")
    return tuple(notes)
