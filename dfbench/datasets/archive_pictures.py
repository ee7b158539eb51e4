"""The images of sequences inside an archive, as :mod:`dfbench.media.sequence` reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.archives import read_sequences
from dfbench.errors import DataError


@dataclass(frozen=True)
class ArchivePictures:
    """One sequence of an archive: its file names, and the bytes of those that were asked for."""

    listed: Sequence[str]
    loaded: Mapping[str, bytes]

    def names(self) -> Sequence[str]:
        """See :meth:`dfbench.media.sequence.Pictures.names`."""
        return self.listed

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See :meth:`dfbench.media.sequence.Pictures.load`."""
        return {name: self.loaded[name] for name in names if name in self.loaded}


def list_pictures(archive: Path, folders: Collection[str]) -> dict[str, tuple[str, ...]]:
    """File names of the images of several sequences, in one pass over the archive.

    An archive that is damaged gives what comes before the damage.

    Raises:
        DataError: nothing of it can be read.
    """
    names: dict[str, dict[str, None]] = {folder: {} for folder in folders}
    try:
        for folder, name, _ in read_sequences(archive, folders):
            names[folder][name] = None
    except DataError:
        if not any(names.values()):
            raise
    return {folder: tuple(found) for folder, found in names.items()}


def load_pictures(archive: Path, wanted: Mapping[str, Collection[str]]) -> dict[str, dict[str, bytes]]:
    """The bytes of some images of several sequences, in one pass; those that can not be read are left away.

    Args:
        archive: the archive.
        wanted: folder -> file names. Of several images of one name in a folder the last counts, as in unpacking.
    """
    loaded: dict[str, dict[str, bytes]] = {folder: {} for folder in wanted}
    chosen = {folder: frozenset(names) for folder, names in wanted.items()}
    try:
        for folder, name, data in read_sequences(archive, wanted):
            if name in chosen[folder]:
                loaded[folder][name] = data
    except DataError:
        pass  # what could not be read is missing from the result
    return loaded
