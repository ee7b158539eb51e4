"""Read image sequences from tar archives without trusting the archives.

Nothing is unpacked to disk: an archive is listed, and its images are read as bytes. Members with an absolute path or
``..``, and everything that is not a regular file (links, devices), are skipped and reported.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.label_lists import is_inside, posix
from dfbench.datasets.layout import is_image
from dfbench.errors import DataError

SUFFIXES = (".tar.gz", ".tgz", ".tar")
LARGEST_IMAGE = 64 * 2**20  # bytes; a face crop has some 100 kB
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True)
class ArchiveListing:
    """The content of an archive.

    Attributes:
        sequences: folder inside the archive (empty: its top level) -> number of images directly in it.
        unsafe: members that were skipped because they are unsafe, with the reason.
        others: regular files that are not images.
        damage: why the archive could not be read completely; empty if it could.
    """

    sequences: dict[str, int]
    unsafe: tuple[str, ...]
    others: tuple[str, ...]
    damage: str


def archive_stem(file_name: str) -> str | None:
    """Return the name of an archive without its extension; None if it is not the name of an archive.

    >>> archive_stem("12.tar.gz"), archive_stem("12.png")
    ('12', None)
    """
    lower = file_name.lower()
    return next((file_name[: -len(s)] for s in SUFFIXES if lower.endswith(s) and len(lower) > len(s)), None)


def unsafe_reason(member: tarfile.TarInfo) -> str:
    """Return why a member must not be used; empty if it is a folder or a regular file inside the archive's folder."""
    if member.issym() or member.islnk():
        return "a link"
    if not (member.isfile() or member.isdir()):
        return "not a regular file"
    if member.isfile() and not is_inside(posix(member.name)):
        return "a path that leads outside"
    if member.isfile() and member.size > LARGEST_IMAGE and is_image(member.name):
        return f"larger than {LARGEST_IMAGE} bytes"
    return ""


def list_archive(path: Path) -> ArchiveListing:
    """List a tar archive, compressed or not, in one pass.

    For a damaged archive, the listing contains what could be read and the damage.
    """
    sequences: Counter[str] = Counter()
    unsafe, others, damage = [], [], ""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                reason = unsafe_reason(member)
                name = posix(member.name)
                if reason:
                    unsafe.append(f"{member.name} ({reason})")
                elif member.isfile() and is_image(name):
                    sequences[name.rpartition("/")[0]] += 1
                elif member.isfile():
                    others.append(name)
    except _DAMAGE as error:
        damage = str(error) or type(error).__name__
    return ArchiveListing(dict(sequences), tuple(unsafe), tuple(others), damage)


def read_sequences(path: Path, folders: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield the images of several sequences in one pass as (folder, file name, bytes), in the archive's order.

    Args:
        path: the archive.
        folders: folders inside the archive, as :func:`list_archive` names them.

    Raises:
        DataError: the archive is missing or damaged; images before the damage have been yielded.
    """
    wanted = frozenset(folders)
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                folder, _, name = posix(member.name).rpartition("/")
                if folder not in wanted or not member.isfile() or not is_image(name) or unsafe_reason(member):
                    continue
                stream = archive.extractfile(member)
                if stream is not None:
                    yield folder, name, stream.read()
    except _DAMAGE as error:
        raise DataError(f"{path} cannot be read completely: {error}", "copy or download it again") from error


@dataclass(frozen=True)
class ArchiveImages:
    """One sequence of an archive: all its file names, and the bytes of the images that were requested.

    It implements the interface of image sequences in :mod:`dfbench.media.sequence`.
    """

    listed: Sequence[str]
    loaded: Mapping[str, bytes]

    def names(self) -> Sequence[str]:
        """Return all file names."""
        return self.listed

    def load(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the bytes of the named images that could be read."""
        return {name: self.loaded[name] for name in names if name in self.loaded}


def list_images(archive: Path, folders: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the file names of the images of several sequences, in one pass over the archive.

    For a damaged archive, names before the damage are returned.

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


def load_images(archive: Path, wanted: Mapping[str, Collection[str]]) -> dict[str, dict[str, bytes]]:
    """Return the bytes of some images of several sequences, in one pass; images that cannot be read are omitted.

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
        pass  # images that could not be read are missing from the result
    return loaded
