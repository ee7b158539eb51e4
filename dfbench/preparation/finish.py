"""``manifest.json`` at the start of a run and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from dfbench.datasets.adapter import Scan
from dfbench.datasets.registry import get_adapter
from dfbench.manifest.info import content_hash, write_info
from dfbench.manifest.shards import read_shard, read_stamp
from dfbench.manifest.summary import count_rows
from dfbench.preparation.recipe import Recipe
from dfbench.preparation.versions import merged, pixel_versions
from dfbench.schema.manifest import MANIFEST, ManifestInfo, ShardInfo


def start(recipe: Recipe, scan: Scan, out: Path) -> None:
    """Write an unfinished description, so that the folder says what it is going to be."""
    write_info(out, _info(recipe, scan, out, pixel_versions()))


def finish(recipe: Recipe, scan: Scan, out: Path, shards: Sequence[ShardInfo]) -> None:
    """Count the rows, check the identifiers over all shards and write the finished description.

    Raises:
        DataError: rows break the manifest's contract.
    """
    columns = [c.name for c in MANIFEST.columns]
    table = pa.concat_tables([read_shard(out / s.file, columns) for s in shards])
    MANIFEST.check(table, str(out))
    stamps = [read_stamp(out / s.file) for s in shards]
    versions = merged([s.versions for s in stamps if s is not None])
    info = _info(recipe, scan, out, versions).model_copy(
        update={
            "complete": True,
            "shards": tuple(shards),
            "counts": count_rows(table),
            "hash": content_hash(shards),
        }
    )
    write_info(out, info)


def _info(recipe: Recipe, scan: Scan, out: Path, versions: dict[str, str]) -> ManifestInfo:
    return ManifestInfo(
        name=out.resolve().name,
        dataset=recipe.dataset,
        complete=False,
        recipe=recipe.to_json(),
        recipe_hash=recipe.hash,
        profile=recipe.profile,
        sizes=recipe.sizes,
        geometry="own",
        decoder=recipe.decoder,
        face_detector=recipe.face_detector,
        versions=versions,
        expected=dict(scan.expected),
        missing=dict(scan.missing),
        left_out={reason: list(paths) for reason, paths in scan.left_out.items()},
        licence=get_adapter(recipe.dataset).licence,
    )
