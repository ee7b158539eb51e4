"""Rows of scene groups that finished shards hold: a shard that gains a clip does not need its other media again.

The rows of a scene group depend on its media, the recipe and the library versions, not on the shard that they are in.
Where a neighbour came, went or changed, the others are copied, so that the bytes are those of a preparation from the
beginning. Their files are compared with the recorded SHA-256 first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from dfbench.errors import DfbenchError
from dfbench.io import file_sha256
from dfbench.manifest.shards import read_stamp, shard_batches
from dfbench.preparation.extraction.rows import Row
from dfbench.preparation.planning.recipe import PreparationRecipe
from dfbench.preparation.planning.sharding import Shard
from dfbench.schema.manifest import MANIFEST_VERSION, row_schema
from dfbench.versions import pixel_versions

BATCH = 32
"""Rows in memory at a time, beside those of one scene group."""


def reusable_groups(
    recipe: PreparationRecipe, todo: Sequence[Shard], out: Path, files: Collection[str]
) -> dict[str, str]:
    """Return where the scene groups of shards to be made are stored: digest of a group -> file.

    Args:
        recipe: what decides the rows.
        todo: the shards to be made.
        out: folder of the files.
        files: shard files that are not kept as they are.

    Returns:
        Groups of files with the same recipe, format, library versions and runtime of the face detector. None with mask
        videos, whose content no row records.
    """
    if not todo or not files:
        return {}
    wanted = {
        digest
        for shard in todo
        for digest, group in zip(shard.group_hashes, shard.groups, strict=True)
        if not any(m.mask_path for m in group)
    }
    made = (recipe.hash, MANIFEST_VERSION, pixel_versions(), recipe.runtime)
    found: dict[str, str] = {}
    for file in sorted(files):
        stamp = read_stamp(out / file)
        if stamp is None:
            continue
        if made == (stamp.recipe_hash, stamp.format_version, stamp.versions, stamp.face_detector_runtime):
            found |= {digest: file for digest in stamp.groups if digest in wanted}
    return found


class StoredRows:
    """Gives the rows of scene groups out of finished shards, which are read once, from the first group to the last.

    Args:
        out: folder of the files.
        where: digest of a group -> file, and its SHA-256; empty where it is not recorded.
        recipe: what decides the columns.
    """

    def __init__(self, out: Path, where: Mapping[str, tuple[str, str]], recipe: PreparationRecipe) -> None:
        self._out = out
        self._where = where
        self._columns = row_schema(recipe.sizes, recipe.extras).names
        self._open: dict[str, Iterator[tuple[str, list[Row]]]] = {}

    def find(self, digest: str, scene_group: str) -> list[Row]:
        """Return the rows of a scene group; empty if no file holds them, or it cannot be read.

        Groups must be asked for in rising order.
        """
        if digest not in self._where:
            return []
        file, sha256 = self._where[digest]
        try:
            for name, rows in self._open.setdefault(file, self._groups(self._out / file, sha256)):
                if name == scene_group:
                    return rows
        except (DfbenchError, OSError):  # the file is damaged or gone: the media are read instead
            pass
        return []

    def _groups(self, path: Path, sha256: str) -> Iterator[tuple[str, list[Row]]]:
        if sha256 and file_sha256(path) != sha256:
            return
        batches = shard_batches(path, self._columns, BATCH)
        rows = (row for batch in batches for row in batch.to_pylist())
        for name, members in groupby(rows, key=lambda row: str(row["scene_group"])):
            yield name, list(members)
