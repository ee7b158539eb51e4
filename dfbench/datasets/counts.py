"""Nested counts of media: subset -> split -> real/fake -> manipulation -> number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from dfbench.datasets.adapter import Counts
from dfbench.schema.media import FAKE, Media

Cell = tuple[str, str, str, str]


def label_name(label: int) -> str:
    """``real`` or ``fake``.

    >>> label_name(1)
    'fake'
    """
    return "fake" if label == FAKE else "real"


def media_cell(media: Media) -> Cell:
    """The cell of the counts that a medium falls into."""
    return media.subset, media.split, label_name(media.label), media.manipulation


def nested(cells: Iterable[tuple[Cell, int]]) -> Counts:
    """Counts as nested dictionaries; cells of zero are left away.

    >>> nested([(("c23", "val", "fake", "Deepfakes"), 2)])
    {'c23': {'val': {'fake': {'Deepfakes': 2}}}}
    """
    out: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    for (subset, split, label, manipulation), number in cells:
        if number:
            out.setdefault(subset, {}).setdefault(split, {}).setdefault(label, {})[manipulation] = number
    return out


def flat(counts: Counts) -> Iterator[tuple[Cell, int]]:
    """The cells of nested counts, in their order."""
    for subset, splits in counts.items():
        for split, labels in splits.items():
            for label, manipulations in labels.items():
                for manipulation, number in manipulations.items():
                    yield (subset, split, label, manipulation), number


def total(counts: Counts) -> int:
    """Sum of all cells."""
    return sum(number for _, number in flat(counts))


def missing_of(expected: Counts, media: Iterable[Media]) -> Counts:
    """Expected minus found, cell by cell; never below zero."""
    found = Counter(media_cell(m) for m in media)
    return nested((cell, max(0, number - found[cell])) for cell, number in flat(expected))
