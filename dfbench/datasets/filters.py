"""Filters on subsets, splits and manipulations, with an answer to misspelt names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfbench.errors import unknown_name
from dfbench.schema.media import SPLITS


@dataclass(frozen=True)
class Filters:
    """Validated filters; an empty tuple keeps everything. Reals pass whatever ``manipulations`` says."""

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


def make_filters(
    dataset: str,
    known_subsets: Sequence[str],
    known_manipulations: Sequence[str],
    subsets: Sequence[str] = (),
    splits: Sequence[str] = (),
    manipulations: Sequence[str] = (),
    subset_aliases: Mapping[str, str] | None = None,
) -> Filters:
    """Check filter values against what the data set can have; ``real`` among manipulations adds nothing.

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
