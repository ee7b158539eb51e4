"""The label that the name of a folder tells: ``real`` and ``fake`` in their common spellings.

Trees in circulation name the folders ``0_real`` and ``1_fake``, ``Reals`` and ``Fakes``, ``training_real``,
``original`` and ``manipulated``, and so on. The label follows from the words alone, never from the folders' order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from dfbench.datasets.layout import split_of
from dfbench.errors import DataError
from dfbench.schema.media import FAKE, REAL, Split

_EXACT = {"real": REAL, "fake": FAKE}
_CLOSE = {**_EXACT, "reals": REAL, "fakes": FAKE}
_FAR = {
    **dict.fromkeys(("original", "originals", "pristine", "genuine", "authentic", "bonafide"), REAL),
    **dict.fromkeys(("deepfake", "deepfakes", "manipulated", "forged", "forgeries", "synthetic", "synthesis"), FAKE),
    **dict.fromkeys(("synthesized", "synthesised", "generated", "tampered", "altered", "spoof", "spoofed"), FAKE),
}
# Words beside that of the label which do not change its meaning.
_NEUTRAL = frozenset(
    "image images img imgs photo photos face faces crop crops video videos clip clips frame frames "
    "sequence sequences data dataset set folder class label samples train training val valid validation test "
    "testing".split()
)
_NEGATIONS = frozenset("not no non un anti vs versus and or to from".split())
_WORDS = re.compile(r"[a-z]+")

EXACT, CLOSE, FAR = 0, 1, 2
"""How sure a folder's name tells a label: ``real``; ``0_real``, ``Reals``; ``original_sequences``, ``celeb_real``."""


@dataclass(frozen=True)
class FolderLabels:
    """Label, split and manipulation according to the folders of a file or sequence; None if unknown."""

    label: int | None
    split: Split | None
    manipulation: str | None


@lru_cache(maxsize=65536)
def label_of(folder: str) -> tuple[int, int] | None:
    """Return (label, how sure: 0 is surest) of a folder's name; None if it tells none.

    >>> label_of("real"), label_of("1_fake"), label_of("original_sequences"), label_of("real_vs_fake")
    ((0, 0), (1, 1), (0, 2), None)
    """
    name = folder.casefold()
    if name in _EXACT:
        return _EXACT[name], EXACT
    words = _WORDS.findall(name)
    if not _NEGATIONS.isdisjoint(words):
        return None
    for known, certainty in ((_CLOSE, CLOSE), (_FAR, FAR)):
        labels = {known[word] for word in words if word in known}
        others = [word for word in words if word not in known and word not in _NEUTRAL]
        if len(labels) == 1 and not others:
            return labels.pop(), certainty
    last = {**_CLOSE, **_FAR}.get(words[-1]) if words else None
    labels = {label for word in words if (label := {**_CLOSE, **_FAR}.get(word)) is not None}
    return (last, FAR) if last is not None and labels == {last} else None


def parse_folders(path: str, where: str = "", least: int = FAR) -> FolderLabels:
    """Parse label, split and manipulation from the folders of a path.

    The surest names decide, and of several the first.

    Args:
        path: relative path of a file; that of a folder must end with a slash.
        where: how the path is named in messages.
        least: how sure a name must tell a label to count.

    Raises:
        DataError: the path contains folders of both labels whose names are equally sure.

    >>> parse_folders("train/fake/Deepfakes/a.mp4")
    FolderLabels(label=1, split='train', manipulation='Deepfakes')
    """
    found = _parse(path.rpartition("/")[0], least)
    if isinstance(found, FolderLabels):
        return found
    raise DataError(
        f"{where or path} is below both {found[0]}/ and {found[1]}/", "move the file, or give the lower folder as root"
    )


@lru_cache(maxsize=65536)
def _parse(parent: str, least: int) -> FolderLabels | tuple[str, str]:
    """Return what the folders tell, or the names of a real and a fake folder that contradict each other."""
    folders = parent.split("/") if parent else []
    told = [(n, found) for n, folder in enumerate(folders) if (found := label_of(folder)) and found[1] <= least]
    best = min((certainty for _, (_, certainty) in told), default=None)
    chosen = [(n, label) for n, (label, certainty) in told if certainty == best]
    if len({label for _, label in chosen}) > 1:
        real, fake = (next(folders[n] for n, label in chosen if label == wanted) for wanted in (REAL, FAKE))
        return real, fake
    if not chosen:
        return FolderLabels(None, _first_split(folders), None)
    at, label = chosen[0]
    rest = folders[at + 1 :]
    split = _first_split((*folders[:at], *_WORDS.findall(folders[at].casefold()), *rest[:1]))
    rest = rest[1:] if rest and split_of(rest[0]) else rest
    method = rest[0] if rest and rest[0].casefold() not in SEQUENCES and label == FAKE else None
    return FolderLabels(label, split, method)


SPELLINGS = "labels follow from the names of folders"
"""Begin of the warning that lists folders in other spellings with their labels."""

SEQUENCES = frozenset({"frames", "sequences"})
"""Folders below which every folder of images is one clip."""


def _first_split(names: Sequence[str]) -> Split | None:
    return next((cast(Split, split) for split in map(split_of, names) if split), None)
