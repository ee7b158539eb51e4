"""What adapters share: gather media, keep account of what is not used, apply filters, make the scan."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from dfbench.datasets.adapter import Scan
from dfbench.datasets.counts import Cell, missing_of, nested
from dfbench.datasets.filters import Filters, make_filters
from dfbench.errors import DataError, unknown_name
from dfbench.schema.media import Media

NOT_A_CLIP = "a name that is not a clip's"
SECOND_FILE = "a second file of the same clip"
BAD_NAME = "a name with '#', a backslash or bytes that are no text, which ids can not hold"
NOT_LISTED = "not named in the label file"
_NO_TEXT = re.compile("[\udc80-\udcff]")  # what Python makes of bytes in names that are no text
_BAD = re.compile("[#\\\\\udc80-\udcff]")


@dataclass
class Finds:
    """What one reading of a tree has gathered so far.

    Attributes:
        tree: the folder that paths are relative to.
        media: media id -> media.
        expected: published counts, unfiltered.
        left_out: reason -> paths found but not used.
        warnings: sentences for people.
    """

    tree: Path
    media: dict[str, Media] = field(default_factory=dict)
    expected: dict[Cell, int] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, media: Media) -> bool:
        """Take a medium; False, and named among what is left out, if its name is unfit or taken already."""
        if _BAD.search(f"{media.subset}{media.manipulation}{media.name}") or _NO_TEXT.search(media.path):
            self.leave_out(BAD_NAME, media.path)
            return False
        if self.media.setdefault(media.media_id, media) is not media:
            self.leave_out(SECOND_FILE, media.path)
            return False
        return True

    def leave_out(self, reason: str, path: str) -> None:
        """Name something that was found but is not used."""
        # Names on disk may be no valid text; the list of them must be.
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        self.left_out.setdefault(reason, []).append(shown)

    def expect(self, cell: Cell, number: int) -> None:
        """Add to the published counts."""
        self.expected[cell] = self.expected.get(cell, 0) + number

    def warn(self, sentence: str) -> None:
        """Tell people something."""
        self.warnings.append(sentence)


@dataclass(frozen=True)
class DataSet(ABC):
    """Base of the adapters: everything around the reading of the tree.

    Attributes:
        name: command-line name, first part of every media id.
        title: full name.
        licence: licence note.
        access: how to get it.
        citation: what to cite.
        layout: what the tree looks like, for hints.
        subsets: subsets it can have; empty: any, as found.
        manipulations: methods it can have; empty: any, as found.
        subset_aliases: other spellings of subsets.
    """

    name: str
    title: str
    licence: str
    access: str
    citation: str
    layout: str
    subsets: tuple[str, ...] = ("all",)
    manipulations: tuple[str, ...] = ()
    subset_aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @abstractmethod
    def read(self, root: Path) -> Finds:
        """Everything that lies below ``root``, unfiltered.

        Raises:
            DataError: no tree of this data set, or one that contradicts itself.
        """

    def filters(
        self, subsets: Sequence[str] = (), splits: Sequence[str] = (), manipulations: Sequence[str] = ()
    ) -> Filters:
        """Check filter values; where any name may occur, what is there is checked by :meth:`scan`."""
        known_subsets = self.subsets or tuple(subsets)
        known_methods = self.manipulations or tuple(manipulations)
        return make_filters(
            self.name, known_subsets, known_methods, subsets, splits, manipulations, self.subset_aliases
        )

    def scan(
        self,
        root: Path,
        subsets: Sequence[str] = (),
        splits: Sequence[str] = (),
        manipulations: Sequence[str] = (),
    ) -> Scan:
        """List the media of the tree; see :class:`dfbench.datasets.adapter.Adapter`."""
        filters = self.filters(subsets, splits, manipulations)
        root = Path(root)
        if not root.is_dir():
            raise DataError(f"no folder {root}", self.layout)
        finds = self.read(root)
        self._check_names(filters, finds)
        kept = [m for m in finds.media.values() if _keeps(filters, (m.subset, m.split, "", m.manipulation))]
        if not kept:
            raise self._nothing(filters, finds)
        expected = nested((cell, n) for cell, n in finds.expected.items() if _keeps(filters, cell))
        media = tuple(sorted(kept, key=lambda m: (m.scene_group, m.media_id)))
        return Scan(
            root=finds.tree,
            media=media,
            expected=expected,
            missing=missing_of(expected, media),
            left_out={reason: tuple(sorted(paths)) for reason, paths in sorted(finds.left_out.items())},
            warnings=tuple(finds.warnings),
        )

    def no_tree(self, root: Path) -> DataError:
        """The error for a root below which this data set does not lie."""
        return DataError(f"no {self.title} tree in {root}", self.layout)

    def _check_names(self, filters: Filters, finds: Finds) -> None:
        asked = (("subset", filters.subsets), ("manipulation", filters.manipulations))
        for kind, names in asked:
            if finds.media and not getattr(self, f"{kind}s"):
                there = {getattr(m, kind) for m in finds.media.values()}
                for name in names:
                    if name not in there and name != "real":
                        raise unknown_name(f"{kind} in {finds.tree}", name, there)

    def _nothing(self, filters: Filters, finds: Finds) -> DataError:
        chosen = ", ".join((*filters.subsets, *filters.splits, *filters.manipulations))
        message = f"no media of {self.title} found in {finds.tree}" + (f" for {chosen}" if chosen else "")
        reasons = "; ".join(f"{len(paths)} left out: {reason}" for reason, paths in sorted(finds.left_out.items()))
        return DataError(message + (f" ({reasons})" if reasons else ""), self.layout)


def _keeps(filters: Filters, cell: Cell) -> bool:
    subset, split, _, manipulation = cell
    return filters.keeps_subset(subset) and filters.keeps_split(split) and filters.keeps_manipulation(manipulation)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
