"""The end of a run: finished shards get their final names, and the new description replaces the old one.

Until then the shards of an earlier manifest keep their names, and new ones that would replace them wait under hidden
names. What is to be done is written to a journal first, so that the next run completes what a killed one began.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from dfbench.errors import DataError
from dfbench.io import translate_os_errors, write_json
from dfbench.manifest.info import check_inside, write_description
from dfbench.untrusted import read_json

STAGED = ".new-"
"""How the names of finished files begin that wait for their final names."""

MOVED = ".moved-"
JOURNAL = ".commit"

_Waiting = Annotated[str, StringConstraints(pattern=r"^(shard-\d{5,}\.parquet|\.new-[0-9a-z-]+)$")]
_Final = Annotated[str, StringConstraints(pattern=r"^(shard-\d{5,}|media-state(-\d+-of-\d+)?)\.parquet$")]
_Description = Annotated[str, StringConstraints(pattern=r"^(manifest|part-\d+-of-\d+)\.json$")]


class _Journal(BaseModel):
    """What a run is about to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: dict[_Waiting, _Final]
    description: _Description
    content: dict[str, Any]
    meanwhile: dict[str, Any]
    moved_aside: bool = False


def journal_name(slug: str = "") -> str:
    """Return the journal's file name; every array-job part has its own."""
    return f"{JOURNAL}-{slug}" if slug else JOURNAL


def commit(
    out: Path,
    moves: Mapping[str, str],
    description: str,
    content: BaseModel,
    meanwhile: BaseModel,
    slug: str = "",
) -> None:
    """Give files their final names and replace the description.

    While files are renamed, which takes milliseconds, the description says that the manifest is not complete: old and
    new shards under one description would be worse than none.

    Args:
        out: the manifest's folder.
        moves: name of a file now -> its final name, where it is another one.
        description: file name of the description.
        content: the description of the finished manifest.
        meanwhile: a description that readers refuse.
        slug: of the array-job part.

    Raises:
        SetupError: the folder cannot be written.
    """
    if not moves:
        write_description(out / description, content)
        return
    journal = _Journal(
        moves=dict(moves),
        description=description,
        content=content.model_dump(mode="json"),
        meanwhile=meanwhile.model_dump(mode="json"),
    )
    _write(out / journal_name(slug), journal)
    _carry_out(out, journal, slug)


def complete_commit(out: Path, slug: str = "") -> bool:
    """Complete what a killed run began; return whether there was anything.

    Raises:
        DataError: its journal cannot be read.
        SetupError: the folder cannot be written.
    """
    path = out / journal_name(slug)
    if not path.is_file():
        return False
    hint = f"delete it, then run: dfbench verify {out}"
    check_inside(path)
    try:
        journal = _Journal.model_validate(read_json(path, hint))
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {error.errors()[0]['msg']}", hint) from error
    _carry_out(out, journal, slug)
    return True


def _carry_out(out: Path, journal: _Journal, slug: str) -> None:
    # Every step can be repeated. Final names can be names that other files have now, so all step aside first.
    path = out / journal_name(slug)
    write_json(out / journal.description, journal.meanwhile, indent=1)
    with translate_os_errors(out):
        if not journal.moved_aside:
            for now, final in journal.moves.items():
                aside = out / f"{MOVED}{final}"
                if not aside.exists():
                    with suppress(FileNotFoundError):  # somebody else removed it: the next run makes it again
                        _rename(out / now, aside)
            journal = journal.model_copy(update={"moved_aside": True})
            _write(path, journal)
        for final in journal.moves.values():
            aside = out / f"{MOVED}{final}"
            if aside.exists():
                _rename(aside, out / final)
    write_json(out / journal.description, journal.content, indent=1)
    path.unlink(missing_ok=True)


def _write(path: Path, journal: _Journal) -> None:
    write_json(path, journal.model_dump(mode="json"))


def _rename(now: Path, final: Path) -> None:
    now.replace(final)
