"""The description of a manifest or an array-job part: incomplete at the start of a run, with all counts at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from dfbench.datasets.adapter import Scan
from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError
from dfbench.manifest.info import content_hash
from dfbench.manifest.shards import read_shard, read_stamp
from dfbench.manifest.summary import count_rows, count_unusual
from dfbench.preparation.extraction.shared_geometry import count_groups
from dfbench.preparation.planning.recipe import PreparationRecipe, rule_in
from dfbench.preparation.planning.sampling import shortfall
from dfbench.schema.manifest import MANIFEST, ManifestInfo, ShardInfo
from dfbench.text import path_text
from dfbench.versions import merged_versions, pixel_versions

_COUNTED = ["split", "label", "status"]
_OF_CLIPS = [
    *("split", "label", "subset", "manipulation", "scene_group", "media_id", "geometry_from", "face_index"),
    *("width", "height", "pixel_aspect"),
]


def initial_info(recipe: PreparationRecipe, scan: Scan, out: Path) -> ManifestInfo:
    """Return an incomplete description, which states the recipe of a folder before its shards are finished."""
    return ManifestInfo(
        name=path_text(out.resolve().name),
        dataset=recipe.dataset,
        complete=False,
        recipe=recipe.to_json(),
        recipe_hash=recipe.hash,
        profile=recipe.profile,
        sizes=recipe.sizes,
        condition=recipe.degrade or "clean",
        extras=recipe.extras,
        geometry=recipe.geometry,
        decoder=recipe.decoder,
        face_detector=recipe.face_detector,
        face_detector_runtime=recipe.runtime,
        versions=pixel_versions(),
        expected=dict(scan.expected),
        missing=dict(scan.missing),
        left_out={reason: list(paths) for reason, paths in scan.excluded.items()},
        warnings=tuple(warning.replace(str(scan.root), "the tree") for warning in scan.warnings),
        licence=get_adapter(recipe.dataset).licence,
    )


def completed(
    info: ManifestInfo, out: Path, shards: Sequence[ShardInfo], located: Mapping[str, str] | None = None
) -> ManifestInfo:
    """Return the complete description with shards, counts and versions, after checking the rows.

    Shards are checked one after the other, so that memory does not grow with the manifest: sample ids begin with the
    id of their medium, and no medium is in two shards.

    Args:
        info: the incomplete description.
        out: folder of the shards.
        shards: all shards, in order.
        located: name of a shard -> name of the file that holds it now, where that is another one.

    Raises:
        DataError: rows violate the manifest's contract.
    """
    columns = [c.name for c in MANIFEST.columns]
    counted: list[pa.Table] = []
    clips: list[pa.Table] = []
    shard_of: dict[str, str] = {}
    files = {shard.file: out / (located or {}).get(shard.file, shard.file) for shard in shards}
    for shard in shards:
        table = read_shard(files[shard.file], columns)
        MANIFEST.check(table, str(files[shard.file]))
        for media_id in table["media_id"].unique().to_pylist():
            if shard_of.setdefault(media_id, shard.file) != shard.file:
                raise DataError(
                    f"{media_id} is in two shards of {out}: {shard_of[media_id]} and {shard.file}",
                    "delete both and rerun the same dfbench prepare command",
                )
        counted.append(table.select(_COUNTED))
        clips.append(table.select(_OF_CLIPS))
    stamps = [stamp for stamp in map(read_stamp, files.values()) if stamp is not None]
    versions = merged_versions([stamp.versions for stamp in stamps])
    runtimes = sorted({stamp.face_detector_runtime for stamp in stamps} - {""})
    return info.model_copy(
        update={
            "complete": True,
            "shards": tuple(shards),
            "versions": versions or info.versions,
            "face_detector_runtime": ", ".join(runtimes) or info.face_detector_runtime,
            "counts": count_rows(pa.concat_tables(counted)) if counted else {},
            "shortfall": shortfall(clips, partial(rule_in, info.recipe)),
            "geometry_groups": count_groups(clips) if info.geometry == "shared" else {},
            "unusual": count_unusual(clips),
            "hash": content_hash(shards),
        }
    )
