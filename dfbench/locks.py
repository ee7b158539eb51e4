"""Lock files: one process at a time works in a folder."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from dfbench.errors import SetupError
from dfbench.io import data_sha256, open_for_appending, translate_os_errors
from dfbench.storage import StoredPath, as_path, staging_home

__all__ = ["lock"]

_logger = logging.getLogger("dfbench")


@contextmanager
def lock(
    path: str | Path,
    *,
    shared: bool = False,
    wait_s: float = 0.0,
    busy: str = "",
    hint: str = "wait for it to end",
) -> Iterator[None]:
    """Hold a lock file, which is removed when its last holder ends.

    The operating system releases the lock when the process dies, so a killed process leaves no lock behind. On a file
    system without locks (some network drives) the block runs without one, with a warning; the same holds for shared
    locks where they are not available (Windows without pywin32). A link is not followed, so that a foreign folder
    cannot have another file emptied. For a URL, whose store has no locks, the lock file is on this machine.

    Args:
        path: the lock file; its folder is created if necessary.
        shared: several holders of a shared lock may coexist, but none with an exclusive one.
        wait_s: seconds to wait for the lock.
        busy: the message while another process holds it; its process id is appended where it is known.
        hint: the remedy in that case.

    Raises:
        SetupError: another process holds the lock, or the lock file cannot be written.
    """
    path = _on_this_machine(as_path(path))
    deadline = time.monotonic() + wait_s
    with _locked_stream(path, shared, deadline, busy or f"another process uses {path.parent}", hint) as stream:
        if not shared:
            with suppress(OSError):  # for the message of others
                stream.truncate(0)
                stream.write(str(os.getpid()))
                stream.flush()
        try:
            yield
        finally:
            if not shared or _acquire(stream, False, path):
                with suppress(OSError):
                    path.unlink()


def _on_this_machine(path: Path) -> Path:
    return staging_home() / "locks" / data_sha256(str(path))[:32] if isinstance(path, StoredPath) else path


@contextmanager
def _locked_stream(path: Path, shared: bool, deadline: float, busy: str, hint: str) -> Iterator[IO[str]]:
    while True:
        with translate_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = open_for_appending(path, "ascii")
        with stream:
            while not _acquire(stream, shared, path):
                if time.monotonic() >= deadline:
                    raise SetupError(busy + _holder(stream), hint)
                time.sleep(0.05)
            if not _is_file_of(path, stream):
                continue  # its last holder removed it between opening and locking
            yield stream
            return


def _holder(stream: IO[str]) -> str:
    with suppress(OSError):  # Windows does not let others read a locked file
        stream.seek(0)
        if (number := stream.read(20).strip()).isdigit():
            return f" (process {number})"
    return ""


def _acquire(stream: IO[str], shared: bool, path: Path) -> bool:
    """Take the lock without waiting; ``False`` where another process holds it."""
    import portalocker

    kind = portalocker.LockFlags.SHARED if shared else portalocker.LockFlags.EXCLUSIVE
    try:
        portalocker.lock(stream, kind | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.exceptions.AlreadyLocked:
        return False
    except portalocker.exceptions.LockException:
        _warn_without_locks(path.parent)
    except ImportError:  # no shared locks on this platform
        pass
    return True


@cache
def _warn_without_locks(folder: Path) -> None:
    _logger.warning("the file system of %s has no locks: make sure that no other run writes there", folder)


def _is_file_of(path: Path, stream: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
