"""What every data set adapter offers, and the value a scan returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dfbench.datasets.filters import Filters
from dfbench.schema.media import Media

# subset -> split -> "real" | "fake" -> manipulation -> number of media
Counts = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]


@dataclass(frozen=True)
class Scan:
    """What a data set's tree holds, as far as names tell.

    Attributes:
        root: the folder that media paths are relative to; the tree itself, also when its parent was given.
        media: sorted by (scene_group, media_id).
        expected: media the data set should have within the filters, subset -> split -> real/fake -> manipulation -> n.
        missing: of those, what the tree lacks, in the same shape; cells of zero are left away.
        left_out: reason -> POSIX paths (relative to the root) of what was found but not used.
        warnings: sentences for people.
    """

    root: Path
    media: tuple[Media, ...]
    expected: Counts
    missing: Counts
    left_out: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...] = ()


class Adapter(Protocol):
    """Reads one data set's layout. Adapters never open media."""

    @property
    def name(self) -> str:
        """Command-line name."""
        ...

    @property
    def title(self) -> str:
        """Full name for people."""
        ...

    @property
    def licence(self) -> str:
        """Licence note, kept in every manifest."""
        ...

    @property
    def access(self) -> str:
        """How to get the data."""
        ...

    @property
    def citation(self) -> str:
        """What to cite."""
        ...

    @property
    def subsets(self) -> tuple[str, ...]:
        """Subsets the data set can have."""
        ...

    @property
    def manipulations(self) -> tuple[str, ...]:
        """Forging methods the data set can have, ``real`` not among them."""
        ...

    def filters(
        self, subsets: Sequence[str] = (), splits: Sequence[str] = (), manipulations: Sequence[str] = ()
    ) -> Filters:
        """Check filter values, spelling variants brought to the names used in ids.

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
            subsets: keep these; empty: all that is there.
            splits: keep these of ``train``, ``val``, ``test``; empty: all.
            manipulations: keep the fakes of these methods; empty: all. Reals always stay.

        Raises:
            UsageError: a filter names something the data set does not have.
            DataError: nothing of the data set lies there.
        """
        ...
