"""The output folder of a run: which files it may hold, and a lock so that one run at a time writes there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.io import TEMPORARY, canonical_hash, check_output_folder
from dfbench.locks import lock
from dfbench.manifest.info import MANIFEST_FILE, read_info
from dfbench.preparation.execution.commit import JOURNAL, MOVED, STAGED
from dfbench.preparation.execution.shard_progress import journal_folder, progress_folder
from dfbench.preparation.planning.job_array import ArrayPart, part_files, read_part
from dfbench.preparation.planning.recipe import differences
from dfbench.schema.manifest import MANIFEST_VERSION, ManifestInfo
from dfbench.storage import StoredPath

LOCK_FILE = ".lock"
STATE_FILES = "media-state-*-of-*.parquet"  # of array-job parts
_SHARD = re.compile(r"^shard-(\d{5,})\.parquet$")
_STAGED = re.compile(rf"^{re.escape(STAGED)}(\d{{5,}})-[0-9a-f]+$")
_OF_A_SHARD = re.compile(rf"^{re.escape(TEMPORARY)}(?:shard-|{re.escape(STAGED)})(\d{{5,}})")
_OWN = re.compile(
    r"^(?:part-\d+-of-\d+\.json|prepare-log(?:-\d+-of-\d+)?\.jsonl|media-state(?:-\d+-of-\d+)?\.parquet"
    r"|similarities-[0-9a-f]{16}\.parquet)$"
)


def check_folder(out: Path, recipe: Mapping[str, Any], version: int = MANIFEST_VERSION) -> None:
    """Raise if a folder holds another manifest or foreign files.

    Args:
        out: the folder; it need not exist.
        recipe: the recipe of the run, as in ``manifest.json``.
        version: of the format that is written.

    Raises:
        UsageError: it holds a manifest with another recipe.
        DataError: it holds a manifest of another format version, or files that do not belong to a manifest.
        SetupError: it cannot be read.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, not a folder", "give --out DIR")
    if not out.is_dir():
        return
    try:
        foreign = sorted(p.name for p in out.iterdir() if not _own(p.name))
    except OSError as error:
        raise SetupError(
            f"{out} cannot be read: {error.strerror}", "change its permissions, or give --out DIR"
        ) from error
    info = _description(out)
    if foreign and info is None:
        raise DataError(
            f"the folder {out} holds files that do not belong to a manifest: {', '.join(foreign[:3])}",
            "give --out DIR with an empty or new folder",
        )
    if info is not None and info.recipe_hash != canonical_hash(recipe):
        changed = ", ".join(differences(info.recipe, recipe))
        raise UsageError(
            f"{out} holds a manifest with another recipe (old -> new: {changed})",
            f"give --out DIR for a second manifest, or delete {out} first",
        )
    if info is not None and info.format_version != version:
        raise DataError(
            f"{out} holds a manifest of format {info.format_version}, this dfbench writes format {version}",
            f"convert it, without the videos: dfbench upgrade {out}"
            if info.complete and (out / MANIFEST_FILE).is_file()
            else f"finish it with the version of dfbench that began it, delete {out}, or give --out DIR",
        )


def _description(out: Path) -> ManifestInfo | None:
    # Of the manifest, else of any part of it.
    if (out / MANIFEST_FILE).is_file():
        return read_info(out)
    return next((read_part(file).manifest for file in part_files(out)), None)


def _own(name: str) -> bool:
    return (
        name == MANIFEST_FILE
        or name.startswith((LOCK_FILE, TEMPORARY, STAGED, MOVED, JOURNAL))
        or _SHARD.match(name) is not None
        or _OWN.match(name) is not None
    )


def clear_temporary(out: Path, numbers: Collection[int] | None = None, slug: str = "") -> None:
    """Remove the temporary files of a killed run.

    Args:
        out: the folder.
        numbers: only files of these shards, since other runs may work on the rest; None: all files.
        slug: of the array-job part.
    """
    if isinstance(out, StoredPath):
        shutil.rmtree(journal_folder(out, progress_folder(slug)), ignore_errors=True)
    for path in out.glob(f"{TEMPORARY}*"):
        match = _OF_A_SHARD.match(path.name)
        mine = (match is not None and int(match[1]) in numbers) if numbers is not None else True
        if (path.name == progress_folder(slug) or numbers is None) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif mine or path.name == progress_folder(slug):
            path.unlink(missing_ok=True)


def shard_files(out: Path, array_part: ArrayPart | None = None) -> list[str]:
    """The names of the shard files in a folder, sorted; with an array-job part, only those with its numbers."""
    return _numbered(out, _SHARD, array_part)


def staged_files(out: Path, array_part: ArrayPart | None = None) -> list[str]:
    """The names of the finished shards that wait for their final names, as :func:`shard_files`."""
    return _numbered(out, _STAGED, array_part)


def _numbered(out: Path, pattern: re.Pattern[str], array_part: ArrayPart | None) -> list[str]:
    if not out.is_dir():
        return []
    found = [match for path in out.iterdir() if (match := pattern.match(path.name)) is not None]
    mine = [m[0] for m in found if array_part is None or int(m[1]) % array_part.of == array_part.number - 1]
    return sorted(mine)


def remove_stale_shards(out: Path, keep: Collection[str], array_part: ArrayPart | None = None) -> None:
    """Remove shard files that are not in the plan; with an array-job part, only those with its numbers."""
    for name in (*shard_files(out, array_part), *staged_files(out, array_part)):
        if name not in keep:
            (out / name).unlink(missing_ok=True)


@contextmanager
def locked(out: Path, array_part: ArrayPart | None = None) -> Iterator[None]:
    """Hold the folder's lock. The system releases it when the process ends, so a killed run leaves no lock behind.

    Args:
        out: the folder, created if necessary.
        array_part: lock only this part: runs of other parts may write to the folder, a whole run may not.

    Raises:
        SetupError: another ``prepare`` is running there, or the folder cannot be written.
    """
    check_output_folder(out, "--out DIR")
    busy, hint = f"another prepare is at work in {out}", "wait for it to end, or give --out DIR"
    with ExitStack() as stack:
        if array_part is None:
            stack.enter_context(lock(out / LOCK_FILE, busy=busy, hint=hint))
        else:
            # A part that ends holds the shared lock for itself for a moment: worth waiting for.
            stack.enter_context(lock(out / LOCK_FILE, shared=True, wait_s=1.0, busy=busy, hint=hint))
            stack.enter_context(lock(out / f"{LOCK_FILE}-{array_part.slug}", busy=busy, hint=hint))
        yield
