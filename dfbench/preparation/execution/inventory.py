"""What a folder holds of a plan: shards are recognised by what they hold, and compared with the tree as it is now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dfbench.errors import DataError, UsageError
from dfbench.manifest.shards import open_shard, read_shard, read_stamp
from dfbench.preparation.execution.commit import STAGED
from dfbench.preparation.execution.media_state import (
    FileState,
    content_key,
    current_states,
    differ,
    read_states,
    state_name,
)
from dfbench.preparation.execution.output_folder import STATE_FILES, shard_files, staged_files
from dfbench.preparation.execution.stored_rows import reusable_groups
from dfbench.preparation.extraction.scene_reader import TIME_LIMIT
from dfbench.preparation.planning.job_array import ArrayPart
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.shard_plan import ShardPlan
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import MANIFEST_VERSION, STATUSES
from dfbench.text import one_line

RETRIED = tuple(status for status in STATUSES if status != "ok")
"""Statuses that ``--retry`` takes."""


@dataclass(frozen=True)
class ResumeOptions:
    """What to do with what a folder holds.

    Attributes:
        allow_missing: go on although media of finished shards are not in the tree; their rows are dropped at the end.
        retry: statuses of rows whose shards are made again.
    """

    allow_missing: bool = False
    retry: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """What a folder holds of a plan.

    Attributes:
        finished: number of a shard -> file that holds it, which can have another name than the plan gives it.
        todo: the shards to be made, in order.
        missing: media that shards in the folder hold and the tree lacks.
        changed: media whose files changed since their rows were made.
        retried: media with rows that are to be made again because of their status.
        unfitting: number of shard files whose content is not in the plan.
        stored: digest of a scene group that is to be made -> shard file that holds its rows.
        states: state of all media of the plan now.
        recorded: state of media when their rows were made, where it is known.
    """

    finished: Mapping[int, str]
    todo: tuple[Shard, ...]
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    unfitting: int = 0
    stored: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, FileState] = field(default_factory=dict)
    recorded: Mapping[str, FileState] = field(default_factory=dict)

    def messages(self) -> list[str]:
        """Return one line for each reason why finished shards are made again."""
        out = []
        if self.changed:
            out.append(f"{some(self.changed)} changed since they were prepared: their shards are made again")
        if self.retried:
            out.append(f"{some(self.retried)} have rows to retry: their shards are made again")
        if self.unfitting and self.todo:
            out.append(
                f"{self.unfitting} finished shards do not fit the data set as it is now (media came, went or are "
                f"described differently, or another version of dfbench made them): {len(self.todo)} are made"
            )
        if self.stored:
            groups = sum(len(shard.group_hashes) for shard in self.todo)
            out.append(f"{len(self.stored)} of their {groups} scene groups are copied from finished shards")
        return out


def some(media: Sequence[str], most: int = 3) -> str:
    """Return how many media there are, and the names of a few.

    >>> some(["a", "b"]), some(["a", "b", "c", "d"])
    ('2 media (a, b)', '4 media (a, b, c, ...)')
    """
    return f"{len(media)} media ({', '.join(map(one_line, media[:most]))}{', ...' if len(media) > most else ''})"


def parse_retry(values: Iterable[str]) -> tuple[str, ...]:
    """Read the statuses of ``--retry``, separated by commas.

    Raises:
        UsageError: one is not a status of rows that can be retried.

    >>> parse_retry(["decode_error,no_face"])
    ('decode_error', 'no_face')
    """
    names = [name.strip() for value in values for name in value.split(",")]
    for name in names:
        if name not in RETRIED:
            raise UsageError(f"--retry does not know the status {name!r}", f"statuses: {', '.join(RETRIED)}")
    return tuple(dict.fromkeys(names))


def take_inventory(
    plan: ShardPlan,
    mine: Sequence[Shard],
    out: Path,
    array_part: ArrayPart | None = None,
    retry: Collection[str] = (),
) -> Inventory:
    """Compare a folder with the shards of a plan. Nothing is changed.

    Args:
        plan: the plan.
        mine: its shards that this run makes.
        out: the folder; it need not exist.
        array_part: the part of an array job; files of other parts are not looked at.
        retry: statuses of rows that are to be made again.
    """
    states = current_states(mine, plan.root)
    recorded = _recorded(out, array_part)
    files = shard_files(out, array_part)
    held = _recognised(plan.recipe, mine, out, files)
    times = not plan.recipe.source
    outdated, changed, retried = set(), [], []
    for shard in mine:
        if shard.number not in held:
            continue
        ids = [m.media_id for m in shard.media]
        changed_here = [name for name in ids if differ(recorded.get(name), states[name], times)]
        retried_here = [] if changed_here else _problems(out / held[shard.number], retry)
        changed += changed_here
        retried += retried_here
        if changed_here or retried_here:
            outdated.add(shard.number)
    finished = {number: file for number, file in held.items() if number not in outdated}
    for number, file in _staged(plan.recipe, mine, out, states, array_part).items():
        finished[number] = file
        outdated.discard(number)
    left = sorted(set(files) - set(held.values()))
    todo = tuple(shard for shard in mine if shard.number not in finished)
    return Inventory(
        finished,
        todo,
        _missing(plan, out, left),
        tuple(changed) if outdated else (),
        tuple(retried) if outdated else (),
        len(left),
        _stored(plan.recipe, todo, out, set(files) - set(finished.values()), retry),
        states,
        recorded,
    )


def check_nothing_missing(inventory: Inventory, plan: ShardPlan, out: Path) -> None:
    """Raise if media of finished shards are not in the tree.

    Raises:
        DataError: an unmounted disk or a wrong root, most probably.
    """
    if inventory.missing:
        raise DataError(
            f"{some(inventory.missing)} of finished shards in {out} are not in {plan.place}",
            "mount the disk, or correct --root; if they are gone for good, --allow-missing drops their rows",
        )


def staged_name(shard: Shard, states: Mapping[str, FileState]) -> str:
    """Return the name of a finished shard that waits for its final name; it identifies content and files."""
    return f"{STAGED}{shard.number:05d}-{content_key(shard, states)}"


def _recorded(out: Path, array_part: ArrayPart | None) -> dict[str, FileState]:
    if array_part is not None:
        return read_states(out / state_name(array_part.slug))
    # A whole run takes over what parts have made.
    parts = [read_states(path) for path in sorted(out.glob(STATE_FILES))]
    return {name: state for states in (*parts, read_states(out / state_name())) for name, state in states.items()}


def _recognised(recipe: PreparationRecipe, mine: Sequence[Shard], out: Path, files: Sequence[str]) -> dict[int, str]:
    # Most files have the name that the plan gives them; the others are read only if a shard is lacking.
    wanted = {shard.hash: shard for shard in mine} | {shard.hash_of_format_2: shard for shard in mine}
    present = set(files)
    digest = recipe.hash
    held: dict[int, str] = {}
    unknown = present - {shard.file for shard in mine}
    for shard in mine:
        if shard.file in present:
            if _plan_hash(out / shard.file, digest) in (shard.hash, shard.hash_of_format_2):
                held[shard.number] = shard.file
            else:
                unknown.add(shard.file)
    if len(held) < len(mine):
        for file in sorted(unknown):
            other = wanted.get(_plan_hash(out / file, digest))
            if other is not None and other.number not in held:
                held[other.number] = file
    return held


def _plan_hash(path: Path, recipe_hash: str) -> str:
    # Versions may differ: a finished shard is kept, and manifest.json lists all versions.
    stamp = read_stamp(path)
    if stamp is None or (stamp.recipe_hash, stamp.format_version) != (recipe_hash, MANIFEST_VERSION):
        return ""
    return stamp.plan_hash


def _staged(
    recipe: PreparationRecipe,
    mine: Sequence[Shard],
    out: Path,
    states: Mapping[str, FileState],
    array_part: ArrayPart | None,
) -> dict[int, str]:
    files = {name.rpartition("-")[2]: name for name in staged_files(out, array_part)}
    if not files:
        return {}
    digest = recipe.hash
    found = {}
    for shard in mine:
        name = files.get(content_key(shard, states))
        if name is not None and _plan_hash(out / name, digest) == shard.hash and not _problems(out / name, ()):
            found[shard.number] = name
    return found


def _stored(
    recipe: PreparationRecipe, todo: Sequence[Shard], out: Path, files: Collection[str], retry: Collection[str]
) -> dict[str, str]:
    found = reusable_groups(recipe, todo, out, files)
    condemned = {file: set(_problems(out / file, retry)) for file in set(found.values())}
    of_group = {d: {m.media_id for m in g} for s in todo for d, g in zip(s.group_hashes, s.groups, strict=True)}
    return {digest: file for digest, file in found.items() if not of_group[digest] & condemned[file]}


def _problems(path: Path, retry: Collection[str]) -> list[str]:
    """Return the media of a shard with rows of these statuses, or over the time limit."""
    if _all_ok(open_shard(path).metadata):
        return []
    table = read_shard(path, ["media_id", "status", "reason"])
    rows = zip(*(table[name].to_pylist() for name in ("media_id", "status", "reason")), strict=True)
    return list(dict.fromkeys(media for media, status, reason in rows if status in retry or reason == TIME_LIMIT))


def _all_ok(metadata: pq.FileMetaData) -> bool:
    # By the footer alone. Nested columns take several positions.
    names = [metadata.schema.column(n).path for n in range(metadata.num_columns)]
    if "status" not in names:
        return False
    position = names.index("status")
    found = [metadata.row_group(n).column(position).statistics for n in range(metadata.num_row_groups)]
    return all(s is not None and s.has_min_max and s.min == s.max == "ok" for s in found)


def _missing(plan: ShardPlan, out: Path, files: Sequence[str]) -> tuple[str, ...]:
    """Return the media of files that the plan does not need, where the tree lacks them."""
    if not files:
        return ()
    here = {m.media_id for m in (plan.found or plan.scan.media)}
    digest = plan.recipe.hash
    gone: dict[str, None] = {}
    for file in files:
        stamp = read_stamp(out / file)
        if stamp is None or stamp.recipe_hash != digest:
            continue
        try:
            ids = read_shard(out / file, ["media_id"])["media_id"].unique().to_pylist()
        except (DataError, pa.ArrowException):
            continue
        gone |= {name: None for name in ids if name not in here}
    return tuple(gone)
