"""Look into tar archives of image sequences without trusting them.

Nothing is ever unpacked to disk: an archive is listed, and its images are read as bytes. Members with an absolute
path, with ``..``, and everything that is no plain file (links, devices) are skipped and named.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfbench.datasets.label_lists import is_inside, posix
from dfbench.datasets.layout import is_image
from dfbench.errors import DataError

SUFFIXES = (".tar.gz", ".tgz", ".tar")
LARGEST_IMAGE = 64 * 2**20  # bytes; a face crop has some 100 kB
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True)
class Listing:
    """What an archive holds.

    Attributes:
        sequences: folder inside the archive (empty: its top) -> number of images directly in it.
        unsafe: members that were skipped because they are unsafe, with the reason.
        others: plain files that are no images.
        damage: why the archive could not be read to its end; empty if it could.
    """

    sequences: dict[str, int]
    unsafe: tuple[str, ...]
    others: tuple[str, ...]
    damage: str


def archive_stem(file_name: str) -> str | None:
    """The name of an archive without its extension; None if it is not an archive's.

    >>> archive_stem("12.tar.gz"), archive_stem("12.png")
    ('12', None)
    """
    lower = file_name.lower()
    return next((file_name[: -len(s)] for s in SUFFIXES if lower.endswith(s) and len(lower) > len(s)), None)


def unsafe_reason(member: tarfile.TarInfo) -> str:
    """Why a member is not to be used; empty if it is a folder or a plain file in a place inside."""
    if member.issym() or member.islnk():
        return "a link"
    if not (member.isfile() or member.isdir()):
        return "no plain file"
    if member.isfile() and not is_inside(posix(member.name)):
        return "a path that leads outside"
    if member.isfile() and member.size > LARGEST_IMAGE and is_image(member.name):
        return f"larger than {LARGEST_IMAGE} bytes"
    return ""


def list_archive(path: Path) -> Listing:
    """List a tar archive, compressed or not; one pass from its start to its end.

    A damaged archive gives what could be read, and the damage.
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
    return Listing(dict(sequences), tuple(unsafe), tuple(others), damage)


def read_sequences(path: Path, folders: Collection[str]) -> Iterator[tuple[str, str, bytes]]:
    """The images of several sequences in one pass, as (folder, file name, bytes), in the archive's order.

    Args:
        path: the archive.
        folders: folders inside the archive, as :func:`list_archive` names them.

    Raises:
        DataError: the archive is missing or damaged; what came before has been given.
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
        raise DataError(f"{path} can not be read to its end: {error}", "copy or download it again") from error
