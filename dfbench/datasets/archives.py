"""Read image sequences from tar archives without trusting the archives.

Nothing is unpacked to disk: an archive is listed, and its images are read as bytes. Members with an absolute path or
``..``, and everything that is not a regular file (links, devices), are skipped and reported. Memory is bounded:
archives are read up to an extended header over :data:`LARGEST_HEADER`, or until they inflate beyond
:data:`MOST_INFLATED`.
"""

from __future__ import annotations

import bz2
import gzip
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfbench.datasets.label_lists import posix
from dfbench.datasets.layout import is_image
from dfbench.errors import DataError
from dfbench.untrusted import is_clutter, is_relative, open_regular

SUFFIXES = (".tar.gz", ".tgz", ".tar")
LARGEST_IMAGE = 64 * 2**20  # bytes; a face crop has some 100 kB
LARGEST_HEADER = 2**20  # bytes of an extended header: names of files have some hundred
MOST_INFLATED = 200, 2**28
"""How much an archive may inflate to: so many times its size, or so many bytes. Images hardly inflate."""

_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
# Besides damage that tarfile reports: what its parsers of numbers, names and sparse maps raise.
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, LookupError, OverflowError, RecursionError)


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


class _BoundedMember(tarfile.TarInfo):
    """A member whose extended header, which tarfile reads whole into memory, is bounded."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED and self.size > LARGEST_HEADER:
            raise tarfile.ReadError(f"an extended header has {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def _members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the members of an archive, except what operating systems leave behind, without keeping them.

    Raises:
        DataError: it is not a regular file.
        tarfile.TarError: it is damaged, or inflates to much more than its size; also the others of ``_DAMAGE``.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(3)
        stream.seek(0)
        # tarfile's own streams copy what is inflated and not yet read for every header.
        source: Any = stream
        if start[:2] == b"\x1f\x8b":
            source = gzip.GzipFile(fileobj=stream)
        elif start == b"BZh":
            source = bz2.BZ2File(stream)
        most = max(MOST_INFLATED[0] * size, MOST_INFLATED[1])
        with source, tarfile.open(fileobj=source, mode="r|", tarinfo=_BoundedMember) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]
                if archive.offset > most:
                    raise tarfile.ReadError(f"it inflates to more than {most} bytes")
                if not any(map(is_clutter, member.name.split("/"))):
                    yield archive, member


def archive_stem(file_name: str) -> str | None:
    """Return the name of an archive without its extension; None if it is not the name of an archive.

    >>> archive_stem("12.tar.gz"), archive_stem("12.png")
    ('12', None)
    """
    lower = file_name.lower()
    return next((file_name[: -len(s)] for s in SUFFIXES if lower.endswith(s) and len(lower) > len(s)), None)


def unsafe_reason(member: tarfile.TarInfo) -> str:
    """Return why a member must not be used; empty if it is a folder or a regular file inside the archive's folder."""
    if member.issparse():
        return "a sparse file"
    if member.issym() or member.islnk():
        return "a link"
    if not (member.isfile() or member.isdir()):
        return "not a regular file"
    if member.isfile() and not is_relative(posix(member.name)):
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
        for _, member in _members(path):
            reason = unsafe_reason(member)
            name = posix(member.name)
            if reason:
                unsafe.append(f"{member.name} ({reason})")
            elif member.isfile() and is_image(name):
                sequences[name.rpartition("/")[0]] += 1
            elif member.isfile():
                others.append(name)
    except DataError as error:
        damage = error.message
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
        for archive, member in _members(path):
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
