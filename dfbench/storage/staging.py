"""Copies of stored files on a local disk, in a cache of bounded size.

The cache holds one file per object and version, named by a hash. Whoever needs a file links it into a folder of its own
under the path that it has in its tree; a file that is removed from the cache meanwhile stays where it is linked. So
processes share the cache without locks, and a file that is being read is never taken away.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dfbench.errors import SetupError, UsageError
from dfbench.storage import client
from dfbench.storage.client import StoredObject
from dfbench.storage.path import StoredPath

FOLDER_VARIABLE, LIMIT_VARIABLE = "DFBENCH_STAGING", "DFBENCH_STAGING_GB"
DEFAULT_GB = 20.0
BATCH_BYTES = 256 << 20
"""Scene groups are copied together up to this size, so that many small files are requested at the same time."""
BATCH_FILES = 256
_STALE_S = 7 * 24 * 3600.0


def staging_home() -> Path:
    """Return the folder of staged files: ``DFBENCH_STAGING``, else ``staging`` in the user's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("dfbench") / "staging"


def staging_limit() -> int:
    """Return the largest size of the cache in bytes: ``DFBENCH_STAGING_GB``, else :data:`DEFAULT_GB`.

    Raises:
        UsageError: the variable is not a number of at least 0.
    """
    text = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_GB)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UsageError(f"{LIMIT_VARIABLE}={text} is not a number of gigabytes", f"for example {LIMIT_VARIABLE}=50")
    return int(min(limit, 1e9) * 1e9)


def working_path(location: Path) -> Path:
    """Return where files are kept that are changed until a folder is finished.

    Args:
        location: a local path, which is returned as it is, or a URL, for which it is below :func:`staging_home`.
    """
    if not isinstance(location, StoredPath):
        return location
    return staging_home() / "unfinished" / hashlib.sha256(str(location).encode()).hexdigest()[:16] / location.name


@dataclass(frozen=True)
class StagedTree:
    """Where the files of some media are; it can be pickled for workers on other machines.

    Attributes:
        url: of the folder that all paths are relative to.
        files: path of a medium -> the objects that are needed to read it: itself, the images of its folder, its
            archive, its mask. Their names are paths relative to the folder.
    """

    url: str
    files: Mapping[str, tuple[StoredObject, ...]]

    def objects(self, paths: Sequence[str]) -> list[StoredObject]:
        """Return the objects of some media, each once."""
        found = {entry.name: entry for path in paths for entry in self.files.get(path, ())}
        return list(found.values())


class StagedFiles:
    """Local copies of stored files in a folder of this process; a context manager that removes them.

    Args:
        tree: the files.
        home: the cache; default: :func:`staging_home`.
        limit: largest size of the cache in bytes; default: :func:`staging_limit`.

    Attributes:
        root: the folder, in which files have the paths that they have in the tree.
    """

    def __init__(self, tree: StagedTree, home: Path | None = None, limit: int | None = None) -> None:
        self._tree = tree
        self._home = home or staging_home()
        self._limit = staging_limit() if limit is None else limit
        self.root = own_folder(self._home)

    def __enter__(self) -> StagedFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def each(self, groups: Sequence[Sequence[str]]) -> Iterator[int]:
        """Yield the number of each group of media when its files are in :attr:`root`.

        The next groups are copied while one is read; files that no later group of the same batch needs are removed.

        Args:
            groups: paths of media as in :attr:`StagedTree.files`.

        Raises:
            SetupError: a file cannot be copied. One that does not exist any more is left out.
        """
        batches = list(self._batches(groups))
        ahead = _Ahead(self._fetch)
        for number, (numbers, objects) in enumerate(batches):
            ahead.wait_for(objects)
            following = batches[number + 1][1] if number + 1 < len(batches) else []
            kept = {entry.name for entry in following}
            ahead.begin(following)
            yield from numbers
            for entry in objects:
                if entry.name not in kept:
                    (self.root / entry.name).unlink(missing_ok=True)
        ahead.wait_for([])

    def fetch(self, paths: Sequence[str]) -> None:
        """Copy the files of some media.

        Raises:
            SetupError: one cannot be copied.
        """
        self._fetch(self._tree.objects(paths))

    def _batches(self, groups: Sequence[Sequence[str]]) -> Iterator[tuple[list[int], list[StoredObject]]]:
        numbers: list[int] = []
        objects: dict[str, StoredObject] = {}
        for number, paths in enumerate(groups):
            more = {entry.name: entry for entry in self._tree.objects(paths)}
            size = sum(entry.size for entry in (objects | more).values())
            if numbers and (size > BATCH_BYTES or len(objects) + len(more) > BATCH_FILES):
                yield numbers, list(objects.values())
                numbers, objects = [], {}
            numbers.append(number)
            objects |= more
        if numbers:
            yield numbers, list(objects.values())

    def _fetch(self, objects: Sequence[StoredObject]) -> None:
        stage(self._tree.url, objects, self.root, self._home, self._limit)


class _Ahead:
    """Copies the files of the next batch in a thread; what goes wrong is raised by whoever waits for it."""

    def __init__(self, fetch: object) -> None:
        self._fetch = fetch
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def begin(self, objects: Sequence[StoredObject]) -> None:
        if objects:
            self._thread = threading.Thread(target=self._run, args=(objects,), daemon=True)
            self._thread.start()

    def wait_for(self, objects: Sequence[StoredObject]) -> None:
        if self._thread is None:
            self._run(objects)
        else:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _run(self, objects: Sequence[StoredObject]) -> None:
        try:
            self._fetch(objects)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - raised in the other thread
            self._error = error


def stage(url: str, objects: Sequence[StoredObject], root: Path, home: Path, limit: int) -> None:
    """Put local copies of objects into a folder, from the cache where it has them.

    Args:
        url: of the folder that the objects' names are relative to.
        objects: the objects. One that does not exist any more is left out.
        root: local folder.
        home: folder of the cache, on the same file system as ``root``, else files are copied twice.
        limit: largest size of the cache in bytes.

    Raises:
        SetupError: an object or the local disk cannot be read or written.
    """
    cache = home / "objects"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        held = {entry.name: cache / _key(url, entry) for entry in objects}
        lacking = [entry for entry in objects if not _link(held[entry.name], root / entry.name)]
        new = {entry.name: held[entry.name].with_name(f".tmp-{secrets.token_hex(8)}") for entry in lacking}
        client.download([f"{url}/{entry.name}" for entry in lacking], list(new.values()))
        for entry in lacking:
            if new[entry.name].is_file():
                # The state of a medium is its time in the store; the time of access tells what was used last.
                os.utime(new[entry.name], ns=(time.time_ns(), entry.mtime_ns))
                _link(new[entry.name], root / entry.name, touch=False)
                os.replace(new[entry.name], held[entry.name])
        _shrink(cache, limit)
    except OSError as error:
        where = error.filename or url
        raise SetupError(
            f"{where} cannot be staged in {home}: {error.strerror or error}",
            "check the network, the credentials and the disk, then rerun to resume",
        ) from error


def _key(url: str, entry: StoredObject) -> str:
    return hashlib.sha256(f"{url}/{entry.name}\n{entry.version}".encode("utf-8", "surrogateescape")).hexdigest()


def _link(source: Path, target: Path, touch: bool = True) -> bool:
    if target.exists():
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if touch:
            os.utime(source, ns=(time.time_ns(), source.stat().st_mtime_ns))
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            shutil.copy2(source, target)
    except FileNotFoundError:
        return False
    return True


def _shrink(cache: Path, limit: int) -> None:
    """Remove the files that were not used for longest, until the rest fits; and what killed downloads left."""
    held = []
    with os.scandir(cache) as entries:
        for entry in entries:
            with suppress(OSError):
                found = entry.stat()
                held.append((found.st_atime_ns, found.st_size, entry.path, entry.name))
    total = sum(size for _, size, _, _ in held)
    old = (time.time() - _STALE_S) * 1e9
    for used, size, path, name in sorted(held):
        unfinished = name.startswith(".tmp-")
        if (unfinished and used < old) or (not unfinished and total > limit):
            with suppress(OSError):
                os.unlink(path)
            total -= size


def own_folder(home: Path) -> Path:
    """Create a folder for this process, and remove those of processes that were killed.

    Raises:
        SetupError: it cannot be created.
    """
    host = "".join(c if c.isalnum() else "-" for c in platform.node())[:40]
    work = home / "work"
    path = work / f"{host}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        work.mkdir(parents=True, exist_ok=True)
        for other in work.iterdir():
            if _is_left(other, host):
                shutil.rmtree(other, ignore_errors=True)
        path.mkdir()
    except OSError as error:
        raise SetupError(
            f"{home} cannot be used to stage files: {error.strerror or error}",
            f"name a folder on a local disk with the environment variable {FOLDER_VARIABLE}",
        ) from error
    return path


def _is_left(folder: Path, host: str) -> bool:
    owner, _, rest = folder.name.partition(".")
    number = rest.partition(".")[0]
    if owner == host and number.isdigit() and os.name != "nt":
        return not _runs(int(number))
    with suppress(OSError):
        return time.time() - folder.stat().st_mtime > _STALE_S
    return False


def _runs(process: int) -> bool:
    """Whether a process runs; one that was killed exists until its parent asks for its exit status."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with suppress(OSError, IndexError):  # where there is no /proc, it counts as running
        return Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] not in "ZX"
    return True
