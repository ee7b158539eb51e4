"""Join the parts that array jobs made into one manifest, the same as a single run would have made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfbench.errors import DataError, SetupError, UsageError
from dfbench.manifest.info import write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import TEMPORARY, read_stamp, sha256_of
from dfbench.preparation.execution.finalize import finished
from dfbench.preparation.execution.output_folder import check_folder, clear_temporary, locked, remove_stale_shards
from dfbench.preparation.planning.job_array import PartInfo, part_files, read_part
from dfbench.preparation.planning.recipe import differences
from dfbench.progress import progress
from dfbench.schema.manifest import ShardInfo


@dataclass(frozen=True)
class _Piece:
    """A part and the folder that holds it."""

    folder: Path
    info: PartInfo

    @property
    def name(self) -> str:
        return f"{self.info.portion} in {self.folder}"

    def command(self, number: int | None = None) -> str:
        """The command that makes this part, or another one of the same manifest."""
        wanted = self.info.number if number is None else number
        out = str(self.folder) if number is None else "DIR"
        return f"dfbench prepare {self.info.manifest.dataset} ... --shards {wanted}/{self.info.of} --out {out}"


def merge(folders: Sequence[str | Path], out: str | Path | None = None, quiet: bool = False) -> Manifest:
    """Join all parts of a manifest.

    Shards are linked where the file system can, else copied; the parts stay as they are unless they lie in ``out``.

    Args:
        folders: where the parts lie, one or several in each.
        out: the manifest's folder; may be left away if all parts lie in one folder, and is that folder then.
        quiet: no progress bar.

    Raises:
        UsageError: no folder to write to was given, or the parts were made by different recipes.
        DataError: a part is missing, given twice or unfinished, belongs to another plan, or lacks a shard file.
        SetupError: the manifest can not be written.
    """
    places = list(dict.fromkeys(Path(folder).expanduser().resolve() for folder in folders))
    target = _target(places, out)
    pieces = _pieces(places)
    _check(pieces)
    check_folder(target, pieces[0].info.manifest.recipe)
    with locked(target):
        clear_temporary(target)
        try:
            return _join(pieces, target, quiet)
        finally:
            clear_temporary(target)


def _target(places: Sequence[Path], out: str | Path | None) -> Path:
    if not places:
        raise UsageError("no folder was given", "dfbench merge DIR... --out DIR")
    if out is not None:
        return Path(out).expanduser().resolve()
    if len(places) > 1:
        raise UsageError("parts of several folders need a folder to be joined in", "give --out DIR")
    return places[0]


def _pieces(places: Sequence[Path]) -> list[_Piece]:
    pieces = []
    for place in places:
        files = part_files(place)
        if not files:
            what = "is not a folder" if not place.is_dir() else "holds no part of a manifest"
            raise DataError(
                f"{place} {what}", "make the parts first: dfbench prepare DATASET ... --shards I/N --out DIR"
            )
        pieces += [_Piece(place, read_part(file)) for file in files]
    return sorted(pieces, key=lambda piece: (piece.info.number, piece.name))


def _check(pieces: Sequence[_Piece]) -> None:
    first = pieces[0]
    for piece in pieces[1:]:
        mine, theirs = first.info, piece.info
        if mine.manifest.recipe_hash != theirs.manifest.recipe_hash:
            differ = ", ".join(differences(mine.manifest.recipe, theirs.manifest.recipe))
            raise UsageError(
                f"{piece.name} was made by another recipe than {first.name} (it differs in: {differ})",
                f"make it with the same options: {piece.command()}",
            )
        if mine.of != theirs.of:
            raise DataError(
                f"{piece.name} and {first.name} are parts of different divisions",
                f"merge parts of one N; or make it again: {piece.command(1).replace(f'1/{theirs.of}', f'I/{mine.of}')}",
            )
        if (mine.plan, mine.plan_shards) != (theirs.plan, theirs.plan_shards):
            raise DataError(
                f"{piece.name} belongs to another plan than {first.name}: the data set's tree was not the same",
                f"bring the trees in line and run again: {first.command()}, then {piece.command()}",
            )
    seen: dict[int, _Piece] = {}
    for piece in pieces:
        twin = seen.setdefault(piece.info.number, piece)
        if twin is not piece:
            raise DataError(
                f"{piece.info.portion} is given twice: {twin.folder} and {piece.folder}", "give one of them"
            )
    lacking = [n for n in range(1, first.info.of + 1) if n not in seen]
    if lacking:
        names = ", ".join(map(str, lacking[:10])) + (", ..." if len(lacking) > 10 else "")
        raise DataError(
            f"of {first.info.of} parts, {len(lacking)} are missing: {names}",
            f"make them: {first.command(lacking[0])}",
        )
    for piece in pieces:
        _check_whole(piece)


def _check_whole(piece: _Piece) -> None:
    hint = f"run its command again, it goes on from there: {piece.command()}"
    if not piece.info.manifest.complete:
        raise DataError(f"{piece.name} is not finished", hint)
    portion, held = piece.info.portion, {shard.file for shard in piece.info.manifest.shards}
    planned = {f"shard-{n:05d}.parquet" for n in range(portion.number - 1, piece.info.plan_shards, portion.of)}
    if held != planned:
        raise DataError(f"{piece.name} does not hold the shards of its part: {_some(held ^ planned)}", hint)
    gone = [file for file in sorted(held) if not (piece.folder / file).is_file()]
    if gone:
        raise DataError(f"{piece.name} lacks {len(gone)} of its shard files: {_some(gone)}", hint)


def _some(files: set[str] | list[str]) -> str:
    names = sorted(files)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _join(pieces: Sequence[_Piece], out: Path, quiet: bool) -> Manifest:
    work = sorted(((s, piece) for piece in pieces for s in piece.info.manifest.shards), key=lambda pair: pair[0].file)
    shards = [shard for shard, _ in work]
    with progress("merge", len(work), "shards", quiet=quiet) as advance:
        for shard, piece in work:
            _bring(shard, piece, out)
            advance()
    remove_stale_shards(out, {shard.file for shard in shards})
    base = pieces[0].info.manifest.model_copy(update={"name": out.resolve().name, "complete": False})
    write_info(out, finished(base, out, shards))
    for file in part_files(out):  # what they described is in manifest.json now
        file.unlink(missing_ok=True)
    return open_manifest(out)


def _bring(shard: ShardInfo, piece: _Piece, out: Path) -> None:
    source, target = piece.folder / shard.file, out / shard.file
    stamp = read_stamp(source)
    if stamp is None or stamp.recipe_hash != piece.info.manifest.recipe_hash or sha256_of(source) != shard.sha256:
        raise DataError(
            f"{shard.file} of {piece.name} is damaged: it is not the file that was made",
            f"delete it and run again: {piece.command()}",
        )
    if source == target or (target.is_file() and sha256_of(target) == shard.sha256):
        return
    temporary = out / f"{TEMPORARY}{Path(shard.file).stem}-{os.getpid()}"
    try:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        raise SetupError(
            f"{target} could not be written: {error.strerror or error}",
            "free some space or mend the permissions, then run the same command again",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
