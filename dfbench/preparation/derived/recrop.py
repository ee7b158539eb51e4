"""``recrop``: make a manifest with other crops from the patches of a manifest, without the videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench.deprecation import renamed_keywords
from dfbench.errors import DataError
from dfbench.faces.crops import crop_region, source_rectangle
from dfbench.faces.profile_match import served_profile
from dfbench.faces.profiles import CropProfile, get_profile
from dfbench.io import check_output_folder
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import read_shard, shard_batches
from dfbench.manifest.stored_geometry import face_of
from dfbench.media.images import decode_sized, encode_png, pixel_hash
from dfbench.preparation.derived.derive import Derivation, derive
from dfbench.preparation.extraction.patches import region
from dfbench.preparation.extraction.rows import Row
from dfbench.preparation.planning.request import check_sizes
from dfbench.schema.manifest import MANIFEST, extra_columns
from dfbench.storage import as_path

VERSION = 1  # increased when the same patches would give other crops
BATCH = 32  # rows in memory at a time: a patch of a large face is some megabytes

_PLAIN = [column.name for column in MANIFEST.columns]
_GEOMETRY = ["sample_id", "status", "width", "height", "face_score", "box", "landmarks", "patch_box"]


@dataclass(frozen=True)
class Recropper:
    """Make the rows of a shard from one with patches.

    Attributes:
        profile: name of the crop profile.
        sizes: crop sizes in pixels, in rising order.
        extras: groups of optional columns that are copied.
    """

    profile: str
    sizes: tuple[int, ...]
    extras: tuple[str, ...]

    def __call__(self, shard: Path) -> Iterator[Row]:
        """The rows in their order, those with a face with new crops."""
        profile = get_profile(self.profile)
        carried = [column.name for column in extra_columns(self.extras, self.sizes)]
        columns = [*_PLAIN, *carried, "patch", "patch_box"]
        for batch in shard_batches(shard, columns, BATCH):
            for row in batch.to_pylist():
                kept = {name: row[name] for name in (*_PLAIN, *carried)}
                yield kept | _crops(row, profile, self.sizes) if row["status"] == "ok" else kept


@renamed_keywords(jobs="workers")
def recrop(
    manifest: Manifest | str | Path,
    out: str | Path,
    *,
    profile: str | None = None,
    sizes: Sequence[int] | None = None,
    workers: int | None = None,
    quiet: bool = False,
) -> Manifest:
    """Make new crops from the patches of a manifest.

    Every row stays, with its status and its face; crops, matrix and scale are new, and are those that ``prepare`` would
    have made wherever the patch covers them. Where it does not, the border of the patch is replicated, and
    ``manifest.json`` counts such rows. Finished shards survive a kill.

    Args:
        manifest: a manifest prepared with patches, or its folder.
        out: folder of the new manifest.
        profile: crop profile; default: the manifest's. A profile of another project is approximate, and its
            name ends in ``~``, where these faces were not found by its own face detector.
        sizes: crop sizes in pixels; default: the default sizes of the profile.
        workers: worker processes; default: one per CPU core.
        quiet: no progress bar.

    Raises:
        UsageError: an unknown profile, a size out of range, or ``out`` holds another manifest.
        DataError: the manifest has no patches, or is damaged.
        SetupError: the disk is full, or another run is at work in ``out``.
    """
    check_output_folder(as_path(out), "--out DIR")
    source = manifest if isinstance(manifest, Manifest) else open_manifest(manifest)
    info = source.info
    if "patch" not in info.extras:
        raise DataError(
            f"the manifest {source.path} holds no patches",
            f"prepare it with them: dfbench prepare {info.dataset} --patch --out DIR",
        )
    name = served_profile(profile or info.profile, info.profile, info.face_detector)
    wanted = check_sizes(sizes or get_profile(name).default_sizes)
    # Masks are crops of videos, which are not read here.
    extras = tuple(group for group in info.extras if group not in ("patch", "masks"))
    recipe = _recipe(source, name, wanted)
    how = Derivation(
        title=f"recrop {source.name}",
        recipe=recipe,
        sizes=wanted,
        extras=extras,
        changes={"profile": name, "recrop": recipe["recrop"]},
        make_rows=Recropper(name, wanted, extras),
        at_end=lambda: {"recrop": recipe["recrop"] | {"uncovered": _uncovered(source, get_profile(name), wanted)}},
    )
    return derive(source, out, how, workers, quiet)


def _recipe(source: Manifest, profile: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    kept = {key: value for key, value in source.info.recipe.items() if key not in ("patch", "masks", "recrop")}
    origin = {"version": VERSION, "manifest": source.info.name, "hash": source.info.hash}
    return kept | {"profile": profile, "sizes": list(sizes), "recrop": origin}


def _crops(row: Row, profile: CropProfile, sizes: tuple[int, ...]) -> Row:
    if row["patch"] is None or row["box"] is None:
        raise DataError(
            f"{row['sample_id']} has no patch: it was a ready-made crop", "prepare it at the sizes you need"
        )
    if any(row[name] is None for name in ("width", "height", "landmarks", "face_score", "patch_box")):
        raise DataError(f"{row['sample_id']} has a patch but not its geometry", "see: dfbench verify")
    width, height = row["width"], row["height"]
    x1, y1, x2, y2 = row["patch_box"]
    pixels = decode_sized(row["patch"]["bytes"], x2 - x1, y2 - y1)
    patch = region(pixels, (x1, y1, x2, y2), width, height)
    out: Row = {}
    for size in sizes:
        matrix = profile.matrix(face_of(row), size, width, height)
        image, _ = crop_region(patch, matrix, size, profile.resampling)
        out[f"crop_{size}"] = {"bytes": encode_png(image), "path": None}
        out[f"sha256_{size}"] = pixel_hash(image)
        out["matrix"] = matrix.astype(np.float32).reshape(-1)
        out["scale"] = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return out


def _uncovered(source: Manifest, profile: CropProfile, sizes: tuple[int, ...]) -> dict[str, int]:
    """Rows whose patch does not cover a crop, by its size."""
    counts = dict.fromkeys(map(str, sizes), 0)
    dense = ["dense"] if "dense" in source.info.extras else []
    for shard in source.info.shards:
        for row in read_shard(source.path / shard.file, [*_GEOMETRY, *dense]).to_pylist():
            if row["status"] == "ok":
                for size in sizes:
                    counts[str(size)] += not _covers(row, profile, size)
    return counts


def _covers(row: Row, profile: CropProfile, size: int) -> bool:
    width, height = row["width"], row["height"]
    matrix: npt.NDArray[np.float64] = profile.matrix(face_of(row), size, width, height)
    x1, y1, x2, y2 = source_rectangle(matrix, size, profile.resampling, width, height)
    left, top, right, bottom = row["patch_box"]
    return bool(left <= x1 and top <= y1 and x2 <= right and y2 <= bottom)
