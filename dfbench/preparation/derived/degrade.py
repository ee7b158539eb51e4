"""``degrade``: copy a manifest with degraded crops; rows, faces and geometry stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dfbench.degrade import Condition
from dfbench.deprecation import renamed_keywords
from dfbench.io import check_output_folder
from dfbench.manifest.degraded import VERSION, Degrader, make_degrader
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import shard_batches
from dfbench.preparation.derived.derive import Derivation, derive
from dfbench.preparation.extraction.rows import Row
from dfbench.preparation.planning.request import check_condition
from dfbench.schema.manifest import MANIFEST, crop_columns, extra_columns
from dfbench.storage import as_path

BATCH = 32  # rows in memory at a time


@dataclass(frozen=True)
class ShardDegrader:
    """Make the rows of a shard under a condition.

    Attributes:
        degrader: the condition and what it needs.
        extras: groups of optional columns that are copied.
        patches: whether the shard holds patches, which can make reading the media unnecessary.
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
        batches = shard_batches(shard, read, BATCH)
        rows = (row for batch in batches for row in batch.to_pylist())
        for _, of_medium in groupby(rows, key=lambda row: row["media_id"]):
            for row in self.degrader.rows(list(of_medium)):
                yield {name: row[name] for name in kept}


@renamed_keywords(jobs="workers")
def degrade(
    manifest: Manifest | str | Path,
    condition: str | Condition,
    out: str | Path,
    *,
    root: str | Path | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Manifest:
    """Copy a manifest with all crops under a condition; finished shards survive a kill.

    Rows, statuses, faces and geometry stay the same; the pixels and hashes of the crops are new. Patches are not
    copied, since they would not be degraded.

    Args:
        manifest: a manifest, or its folder.
        condition: for example ``jpeg:q=60``, ``mean:k=5@source`` or ``h264:crf=40@clip``.
        out: folder of the new manifest.
        root: the data set's tree, for conditions that act before cropping; default: the configuration.
        workers: worker processes; default: one per CPU core.
        quiet: no progress bar.

    Raises:
        UsageError: the condition is not well formed, or ``out`` holds another manifest.
        DataError: the manifest is damaged, or its media are needed and not found.
        SetupError: an encoder is missing, the disk is full, or another run is at work in ``out``.
    """
    chosen = check_condition(condition)
    check_output_folder(as_path(out), "--out DIR")
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
    return derive(source, out, how, workers, quiet)
