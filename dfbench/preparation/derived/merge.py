"""Join the parts that array jobs made into one manifest, identical to that of a single run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import DataError, UsageError
from dfbench.io import atomic_path, check_output_folder, file_sha256
from dfbench.manifest.info import check_inside, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import read_stamp
from dfbench.preparation.execution.finalize import completed
from dfbench.preparation.execution.media_state import read_states, state_name, write_states
from dfbench.preparation.execution.output_folder import (
    STATE_FILES,
    check_folder,
    clear_temporary,
    locked,
    remove_stale_shards,
)
from dfbench.preparation.planning.job_array import PartInfo, part_files, read_part
from dfbench.preparation.planning.recipe import differences
from dfbench.progress import progress
from dfbench.schema.manifest import ShardInfo
from dfbench.storage import StoredPath, as_path
from dfbench.text import path_text
from dfbench.untrusted import leads_outside


@dataclass(frozen=True)
class _FoundPart:
    """A part and the folder that holds it."""

    folder: Path
    info: PartInfo

    @property
    def name(self) -> str:
        return f"{self.info.array_part} in {self.folder}"

    @property
    def state_file(self) -> str:
        return state_name(self.info.array_part.slug)

    def command(self, number: int | None = None) -> str:
        """The command that prepares this part, or another part of the same manifest."""
        wanted = self.info.number if number is None else number
        out = str(self.folder) if number is None else "DIR"
        return f"dfbench prepare {self.info.manifest.dataset} ... --array {wanted}/{self.info.of} --out {out}"


def merge(folders: Sequence[str | Path], out: str | Path | None = None, quiet: bool = False) -> Manifest:
    """Join all parts of a manifest.

    Shards are linked where the file system can, else copied; the parts stay as they are unless they are in ``out``.

    Args:
        folders: where the parts are, one or several in each.
        out: the manifest's folder; default: the folder of the parts, where they share one.
        quiet: no progress bar.

    Raises:
        UsageError: no output folder was given, or the parts have different recipes.
        DataError: a part is missing, given twice or unfinished, belongs to another plan, or lacks a shard file.
        SetupError: the manifest cannot be written.
    """
    sources = list(dict.fromkeys(as_path(folder).resolve() for folder in folders))
    target = _target(sources, out)
    parts = _find_parts(sources)
    _check(parts)
    check_folder(target, parts[0].info.manifest.recipe, parts[0].info.manifest.format_version)
    with locked(target):
        clear_temporary(target)
        try:
            return _join(parts, target, quiet)
        finally:
            clear_temporary(target)


def _target(sources: Sequence[Path], out: str | Path | None) -> Path:
    if not sources:
        raise UsageError("no folder was given", "dfbench merge DIR... --out DIR")
    if out is not None:
        return check_output_folder(as_path(out).resolve(), "--out DIR")
    if len(sources) > 1:
        raise UsageError("parts in several folders need an output folder", "give --out DIR")
    return sources[0]


def _find_parts(sources: Sequence[Path]) -> list[_FoundPart]:
    parts = []
    for folder in sources:
        files = part_files(folder)
        if not files:
            what = "is not a folder" if not folder.is_dir() else "holds no part of a manifest"
            raise DataError(
                f"{folder} {what}", "prepare the parts first: dfbench prepare DATASET ... --array I/N --out DIR"
            )
        parts += [_FoundPart(folder, read_part(file)) for file in files]
    return sorted(parts, key=lambda part: (part.info.number, part.name))


def _check(parts: Sequence[_FoundPart]) -> None:
    first = parts[0]
    for part in parts[1:]:
        mine, theirs = first.info, part.info
        if mine.manifest.recipe_hash != theirs.manifest.recipe_hash:
            changed = ", ".join(differences(mine.manifest.recipe, theirs.manifest.recipe))
            raise UsageError(
                f"{part.name} has another recipe than {first.name} ({mine.number} -> {theirs.number}: {changed})",
                f"prepare it with the same options: {part.command()}",
            )
        if mine.manifest.format_version != theirs.manifest.format_version:
            raise DataError(
                f"{part.name} has format {theirs.manifest.format_version}, {first.name} has "
                f"{mine.manifest.format_version}",
                f"prepare both with one version of dfbench: {first.command()}, then {part.command()}",
            )
        if mine.of != theirs.of:
            again = part.command(1).replace(f"1/{theirs.of}", f"I/{mine.of}")
            raise DataError(
                f"{part.name} and {first.name} do not have the same number of parts",
                f"merge parts with the same N, or prepare it again: {again}",
            )
        if (mine.plan, mine.plan_shards) != (theirs.plan, theirs.plan_shards):
            raise DataError(
                f"{part.name} belongs to another plan than {first.name}: the data set's trees were not the same",
                f"make the trees identical and rerun: {first.command()}, then {part.command()}",
            )
    seen: dict[int, _FoundPart] = {}
    for part in parts:
        twin = seen.setdefault(part.info.number, part)
        if twin is not part:
            raise DataError(
                f"{part.info.array_part} is given twice: {twin.folder} and {part.folder}", "give one of them"
            )
    lacking = [n for n in range(1, first.info.of + 1) if n not in seen]
    if lacking:
        names = ", ".join(map(str, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
        raise DataError(
            f"{len(lacking)} of {first.info.of} parts are missing: {names}",
            f"prepare them: {first.command(lacking[0])}",
        )
    for part in parts:
        _check_whole(part)


def _check_whole(part: _FoundPart) -> None:
    hint = f"rerun its command to resume: {part.command()}"
    if not part.info.manifest.complete:
        raise DataError(f"{part.name} is not finished", hint)
    held = {shard.file for shard in part.info.manifest.shards}
    planned = {f"shard-{n:05d}.parquet" for n in range(part.info.number - 1, part.info.plan_shards, part.info.of)}
    if held != planned:
        raise DataError(f"{part.name} does not hold exactly the shards of its part: {_some(held ^ planned)}", hint)
    gone = [file for file in sorted(held) if not (part.folder / file).is_file()]
    if gone:
        raise DataError(f"{part.name} lacks {len(gone)} of its shard files: {_some(gone)}", hint)


def _some(files: set[str] | list[str]) -> str:
    names = sorted(files)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _join(parts: Sequence[_FoundPart], out: Path, quiet: bool) -> Manifest:
    work = sorted(((s, part) for part in parts for s in part.info.manifest.shards), key=lambda pair: pair[0].file)
    shards = [shard for shard, _ in work]
    with progress("merge", len(work), "shards", quiet=quiet) as advance:
        for shard, part in work:
            _bring(shard, part, out)
            advance()
    states = {name: state for part in parts for name, state in read_states(part.folder / part.state_file).items()}
    if states:
        write_states(out / state_name(), states)
    remove_stale_shards(out, {shard.file for shard in shards})
    base = parts[0].info.manifest.model_copy(update={"name": path_text(out.resolve().name), "complete": False})
    write_info(out, completed(base, out, shards))
    for file in (*part_files(out), *out.glob(STATE_FILES)):  # what they described is in the whole manifest now
        file.unlink(missing_ok=True)
    return open_manifest(out)


def _bring(shard: ShardInfo, part: _FoundPart, out: Path) -> None:
    source, target = part.folder / shard.file, out / shard.file
    check_inside(source)
    stamp = read_stamp(source)
    if stamp is None or stamp.recipe_hash != part.info.manifest.recipe_hash or file_sha256(source) != shard.sha256:
        raise DataError(
            f"{shard.file} of {part.name} is damaged: its hash is not the recorded one",
            f"delete it and rerun: {part.command()}",
        )
    if source == target:
        return
    if target.is_file() and not leads_outside(target) and file_sha256(target) == shard.sha256:
        return
    with atomic_path(target) as temporary:
        if isinstance(source, StoredPath):
            with source.open("rb") as stored, temporary.open("wb") as copy:
                shutil.copyfileobj(stored, copy, 8 << 20)
            return
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)
