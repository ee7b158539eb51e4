"""``degrade``: a manifest becomes one whose crops are under a condition, every row and face where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dfbench.degrade import Condition, available, parse
from dfbench.errors import SetupError, UsageError
from dfbench.manifest.degraded import VERSION, Degrader, make_degrader
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import open_shard
from dfbench.preparation.derived.derive import Derivation, derive
from dfbench.preparation.extraction.rows import Row
from dfbench.schema.manifest import MANIFEST, crop_columns, extra_columns

BATCH = 32  # rows in memory at a time


def check_condition(spec: str | Condition) -> Condition:
    """A condition that crops can be made under on this machine.

    Raises:
        UsageError: it is not well formed, or degrades nothing.
        SetupError: what it needs is not installed.
    """
    condition = parse(spec) if isinstance(spec, str) else spec
    if condition.is_clean:
        raise UsageError("'clean' degrades nothing", "name a degradation; see: dfbench list degradations")
    reason = available(condition)
    if reason is not None:
        raise SetupError(f"{condition.name} can not run here: {reason}", "see: dfbench list degradations")
    return condition


@dataclass(frozen=True)
class ShardDegrader:
    """Makes the rows of a shard under a condition.

    Attributes:
        degrader: the condition and what it needs.
        extras: groups of optional columns that are carried over.
        patches: whether the shard holds patches, which can spare reading the media.
    """

    degrader: Degrader
    extras: tuple[str, ...]
    patches: bool

    def __call__(self, shard: Path) -> Iterator[Row]:
        """The rows in their order, those with a face with degraded crops."""
        sizes = self.degrader.sizes
        columns = (*MANIFEST.columns, *crop_columns(sizes), *extra_columns(self.extras, sizes))
        kept = [column.name for column in columns]
        read = [*kept, *(("patch", "patch_box") if self.patches else ())]
        batches = open_shard(shard).iter_batches(batch_size=BATCH, columns=read)
        rows = (row for batch in batches for row in batch.to_pylist())
        for _, of_medium in groupby(rows, key=lambda row: row["media_id"]):
            for row in self.degrader.rows(list(of_medium)):
                yield {name: row[name] for name in kept}


def degrade(
    manifest: Manifest | str | Path,
    condition: str | Condition,
    out: str | Path,
    *,
    root: str | Path | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Manifest:
    """Make a copy of a manifest with all crops under a condition; finished shards are kept over kills.

    Rows, statuses, faces and geometry stay; the crops' pixels and hashes are new. Patches are left out, since they
    would not be degraded.

    Args:
        manifest: a manifest, or its folder.
        condition: for example ``jpeg:q=60``, ``mean:k=5@source`` or ``h264:crf=40@clip``.
        out: folder of the new manifest.
        root: the data set's tree, for conditions that act before cropping; default: the configuration.
        jobs: worker processes; default: one a core.
        quiet: no progress bar.

    Raises:
        UsageError: the condition is not well formed, or ``out`` holds another manifest.
        DataError: the manifest is damaged, or its media are needed and not there.
        SetupError: an encoder is missing, the disk is full, or another run is at work in ``out``.
    """
    chosen = check_condition(condition)
    source = manifest if isinstance(manifest, Manifest) else open_manifest(manifest)
    info = source.info
    extras = tuple(group for group in info.extras if group != "patch")
    before = {key: value for key, value in info.recipe.items() if key != "patch"}
    entry = {"version": VERSION, "condition": chosen.name, "manifest": info.name, "hash": info.hash}
    how = Derivation(
        title=f"degrade {source.name}",
        recipe=before | {"degrade": entry},
        sizes=info.sizes,
        extras=extras,
        changes={"condition": chosen.name},
        make_rows=ShardDegrader(make_degrader(source, chosen, info.sizes, root), extras, "patch" in info.extras),
    )
    return derive(source, out, how, jobs, quiet)
