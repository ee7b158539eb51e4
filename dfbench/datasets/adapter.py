"""The interface of data set adapters, and the values that they exchange: filters, counts and scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dfbench.errors import unknown_name
from dfbench.schema.media import FAKE, SPLITS, Media

Counts = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]
"""Number of media: subset -> split -> ``real`` or ``fake`` -> manipulation."""

CountKey = tuple[str, str, str, str]
"""Subset, split, ``real`` or ``fake``, manipulation."""


def label_name(label: int) -> str:
    """Return ``real`` or ``fake``.

    >>> label_name(1)
    'fake'
    """
    return "fake" if label == FAKE else "real"


def count_key(media: Media) -> CountKey:
    """Return the key under which a medium is counted."""
    return media.subset, media.split, label_name(media.label), media.manipulation


def nested(counts: Iterable[tuple[CountKey, int]]) -> Counts:
    """Return counts as nested dictionaries; zeros are omitted.

    >>> nested([(("c23", "val", "fake", "Deepfakes"), 2)])
    {'c23': {'val': {'fake': {'Deepfakes': 2}}}}
    """
    out: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    for (subset, split, label, manipulation), number in counts:
        if number:
            out.setdefault(subset, {}).setdefault(split, {}).setdefault(label, {})[manipulation] = number
    return out


def flat(counts: Counts) -> Iterator[tuple[CountKey, int]]:
    """Iterate over nested counts in their order."""
    for subset, splits in counts.items():
        for split, labels in splits.items():
            for label, manipulations in labels.items():
                for manipulation, number in manipulations.items():
                    yield (subset, split, label, manipulation), number


def total(counts: Counts) -> int:
    """Return the sum of nested counts."""
    return sum(number for _, number in flat(counts))


def missing_of(expected: Counts, media: Iterable[Media]) -> Counts:
    """Return expected minus found for every key, never below zero."""
    found = Counter(count_key(m) for m in media)
    return nested((key, max(0, number - found[key])) for key, number in flat(expected))


@dataclass(frozen=True)
class Filters:
    """Validated filters. An empty tuple keeps everything; reals are kept whatever ``manipulations`` says."""

    subsets: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    manipulations: tuple[str, ...] = ()

    def keeps_subset(self, subset: str) -> bool:
        """Whether media of this subset are kept."""
        return not self.subsets or subset in self.subsets

    def keeps_split(self, split: str) -> bool:
        """Whether media of this split are kept."""
        return not self.splits or split in self.splits

    def keeps_manipulation(self, manipulation: str) -> bool:
        """Whether fakes of this method are kept; ``real`` always is."""
        return manipulation == "real" or not self.manipulations or manipulation in self.manipulations

    def keeps(self, key: CountKey) -> bool:
        """Whether media that are counted under this key are kept."""
        subset, split, _, manipulation = key
        return self.keeps_subset(subset) and self.keeps_split(split) and self.keeps_manipulation(manipulation)


def make_filters(
    dataset: str,
    known_subsets: Sequence[str],
    known_manipulations: Sequence[str],
    subsets: Sequence[str] = (),
    splits: Sequence[str] = (),
    manipulations: Sequence[str] = (),
    subset_aliases: Mapping[str, str] | None = None,
) -> Filters:
    """Check filter values against the names that a data set can have; ``real`` among manipulations has no effect.

    Raises:
        UsageError: an unknown name, with the nearest ones in the hint.

    >>> make_filters("ff++", ["raw", "c23"], ["Deepfakes"], subsets=["c0"], subset_aliases={"c0": "raw"}).subsets
    ('raw',)
    """
    aliases = subset_aliases or {}
    chosen = tuple(dict.fromkeys(aliases.get(s, s) for s in subsets))
    for value, known, kind in (
        *((s, known_subsets, "subset") for s in chosen),
        *((s, SPLITS, "split") for s in splits),
        *((m, (*known_manipulations, "real"), "manipulation") for m in manipulations),
    ):
        if value not in known:
            raise unknown_name(f"{kind} of {dataset}", value, known)
    return Filters(chosen, tuple(dict.fromkeys(splits)), tuple(dict.fromkeys(manipulations)))


@dataclass(frozen=True)
class Scan:
    """The content of a data set's tree according to its names.

    Attributes:
        root: the folder that media paths are relative to: the tree itself, even if its parent was given.
        media: sorted by (scene_group, media_id).
        expected: number of media the data set should have within the filters.
        missing: number of these that the tree lacks; zeros are omitted.
        excluded: reason -> POSIX paths (relative to the root) of files that were found but not used.
        warnings: sentences for the user.
    """

    root: Path
    media: tuple[Media, ...]
    expected: Counts
    missing: Counts
    excluded: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()


class Adapter(Protocol):
    """Reads the layout of one data set. Adapters never open media.

    :class:`dfbench.datasets.base.DataSetAdapter` implements everything except the reading of the tree.
    """

    @property
    def name(self) -> str:
        """Command-line name, the first part of every media id."""
        ...

    @property
    def title(self) -> str:
        """Full name."""
        ...

    @property
    def licence(self) -> str:
        """Licence note, which is copied to every manifest."""
        ...

    @property
    def access(self) -> str:
        """How to get the data."""
        ...

    @property
    def citation(self) -> str:
        """The publication to cite."""
        ...

    @property
    def subsets(self) -> tuple[str, ...]:
        """Subsets that the data set can have."""
        ...

    @property
    def manipulations(self) -> tuple[str, ...]:
        """Forging methods that the data set can have, without ``real``."""
        ...

    def filters(
        self, subsets: Sequence[str] = (), splits: Sequence[str] = (), manipulations: Sequence[str] = ()
    ) -> Filters:
        """Check filter values and replace spelling variants by the names used in ids.

        Raises:
            UsageError: a filter names something the data set does not have.
        """
        ...

    def scan(
        self,
        root: Path,
        subsets: Sequence[str] = (),
        splits: Sequence[str] = (),
        manipulations: Sequence[str] = (),
    ) -> Scan:
        """List the media below ``root``.

        Args:
            root: the data set's folder, or its parent.
            subsets: subsets to keep; empty: all.
            splits: splits to keep, of ``train``, ``val``, ``test``; empty: all.
            manipulations: methods whose fakes are kept; empty: all. Reals are always kept.

        Raises:
            UsageError: a filter names something the data set does not have.
            DataError: no media of the data set were found.
        """
        ...
