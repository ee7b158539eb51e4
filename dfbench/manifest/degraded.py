"""A manifest's crops under a condition: as rows for a copy of the manifest, or as a dataset for a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfbench import degrade
from dfbench.errors import DataError
from dfbench.manifest.crop_cache import EntryInfo, cached
from dfbench.manifest.samples import Samples
from dfbench.manifest.shards import read_shard
from dfbench.manifest.source_media import find_media_root
from dfbench.manifest.stored_geometry import GEOMETRY_COLUMNS, degraded_crops, needs_media
from dfbench.manifest.table import ManifestTable
from dfbench.manifest.torch_dataset import CropDataset
from dfbench.media.images import decode_crop, encode_png, pixel_hash

_Row = dict[str, Any]

VERSION = 2  # raised when the same condition would give other crops


@dataclass(frozen=True)
class Degrader:
    """Makes the crops of rows under a condition; it can be pickled for worker processes.

    Attributes:
        condition: the condition.
        profile: the manifest's crop profile.
        sizes: crop sizes in pixels.
        root: absolute folder that media paths are relative to; None where no medium is read.
        decoder: name of the video reader.
    """

    condition: degrade.Condition
    profile: str
    sizes: tuple[int, ...]
    root: Path | None
    decoder: str

    def rows(self, rows: Sequence[_Row]) -> list[_Row]:
        """Return rows of one medium in their order with degraded crops; rows without a crop are returned unchanged."""
        ok = [row for row in rows if row["status"] == "ok"]
        images = iter(self.images(ok))
        return [row | _columns(next(images)) if row["status"] == "ok" else row for row in rows]

    def images(self, rows: Sequence[_Row]) -> Iterator[dict[int, np.ndarray]]:
        """Yield, for each of some rows of one medium that all have a crop, size -> uint8 (size, size, 3), RGB."""
        if not rows:
            return
        if self.condition.where == "crop":
            for row in rows:
                crops = {size: decode_crop(_stored(row, size), size) for size in self.sizes}
                yield {s: degrade.apply(self.condition, image, row["sample_id"]) for s, image in crops.items()}
            return
        ordered = sorted(range(len(rows)), key=lambda n: (rows[n]["frame_index"], n))
        cut = degraded_crops(
            [rows[n] for n in ordered], self.condition, self.profile, self.sizes, self.root, self.decoder
        )
        found = dict(zip(ordered, cut, strict=True))
        yield from (found[n] for n in range(len(rows)))

    def encoded(self, rows: Sequence[_Row]) -> list[bytes]:
        """Return the crop of each of some rows of one medium as an image file; the degrader has a single size."""
        (size,) = self.sizes
        return [encode_png(images[size]) for images in self.images(rows)]


def make_degrader(
    manifest: ManifestTable,
    condition: degrade.Condition,
    sizes: Sequence[int],
    root: str | Path | None = None,
) -> Degrader:
    """Return a degrader for the crops of a manifest; its media are located where the condition needs them.

    Raises:
        DataError: the media are needed and no root is known or correct, or the manifest is degraded itself.
    """
    info = manifest.info
    if info.condition != "clean":
        raise DataError(
            f"the manifest {manifest.path} is already degraded, under {info.condition}",
            "degrade the manifest that it was made from; several steps are joined by +, as in jpeg:q=60+mean:k=5",
        )
    if condition.where == "crop":
        return Degrader(condition, info.profile, tuple(sizes), None, info.decoder)
    try:
        folder = find_media_root(manifest, root) if _reads_media(manifest, condition) else None
    except DataError as error:
        raise DataError(
            f"{condition.name} acts before cropping and needs the media of {info.dataset!r}: {error.message}",
            error.hint,
        ) from error
    # The worker processes need not have this process's working directory.
    root = folder.absolute() if folder is not None else None
    return Degrader(condition, info.profile, tuple(sizes), root, info.decoder)


def _reads_media(manifest: ManifestTable, condition: degrade.Condition) -> bool:
    if condition.where == "clip" or "patch" not in manifest.info.extras:
        return True
    # patch_box says whether there is a patch; its image need not be read for that.
    table = manifest.table(["status", "width", "height", "patch_box"])
    rows = (row | {"patch": row["patch_box"]} for row in table.to_pylist() if row["status"] == "ok")
    return any(needs_media(row, condition) for row in rows)


def degraded_dataset(
    manifest: ManifestTable, samples: Samples, size: int, degrader: Degrader, advance: Callable[[int], None]
) -> CropDataset:
    """Return the samples that have a crop, under a condition that acts before cropping.

    The crops are made once, in parallel over media on all CPU cores, and kept in the cache
    (:mod:`dfbench.manifest.crop_cache`). Another detector, or a rerun after an interruption, reads them from there.

    Args:
        manifest: the manifest.
        samples: of it; those with status ok are used.
        size: crop size in pixels.
        degrader: from :func:`make_degrader`, for this size.
        advance: called with the number of crops that have become ready.
    """
    import joblib  # slow to load, and the workers of prepare import this module

    indices = np.flatnonzero(samples.has_crop).astype(np.int64)
    chosen = samples.take(indices)

    def make(missing: npt.NDArray[np.int64]) -> Iterator[bytes]:
        rows_to_cut = _geometry(manifest, chosen.take(missing))
        media = (list(rows) for _, rows in groupby(rows_to_cut, key=lambda row: row["media_id"]))
        pool = joblib.Parallel(n_jobs=joblib.cpu_count(), batch_size=1, return_as="generator")
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            for images in pool(joblib.delayed(degrader.encoded)(rows) for rows in media):
                yield from images
                advance(len(images))

    versions = f"{VERSION} {_versions()}"
    folder = str(manifest.path.absolute())
    info = EntryInfo(folder, manifest.info.hash, degrader.condition.name, size, "png", versions)
    return CropDataset(chosen, indices, size, cached(info, chosen.rows, make))


def _stored(row: _Row, size: int) -> bytes:
    crop = row[f"crop_{size}"]
    if crop is None or crop["bytes"] is None:
        raise DataError(f"{row['sample_id']} has no crop although its status is ok", "see: dfbench verify")
    data: bytes = crop["bytes"]
    return data


def _versions() -> str:
    import av
    import cv2
    import PIL

    return f"av {av.__version__} cv2 {cv2.__version__} numpy {np.__version__} pillow {PIL.__version__}"


def _geometry(manifest: ManifestTable, samples: Samples) -> Iterator[_Row]:
    extras = [c for c in ("dense", "patch_box") if c in manifest.columns]
    table = samples.select([*GEOMETRY_COLUMNS, *extras])
    if "patch" not in manifest.info.extras:
        yield from table.to_pylist()
        return
    yield from _with_patches(manifest, table.to_pylist(), samples)


def _with_patches(manifest: ManifestTable, rows: list[_Row], samples: Samples) -> Iterator[_Row]:
    start, done = 0, 0
    for shard in manifest.info.shards:
        in_shard = samples.rows[(samples.rows >= start) & (samples.rows < start + shard.rows)] - start
        if len(in_shard):
            patches = read_shard(manifest.path / shard.file, ["patch"])["patch"].take(in_shard).to_pylist()
            of_shard = rows[done : done + len(in_shard)]
            yield from (row | {"patch": p} for row, p in zip(of_shard, patches, strict=True))
        start, done = start + shard.rows, done + len(in_shard)


def _columns(images: dict[int, np.ndarray]) -> _Row:
    out: _Row = {}
    for size, image in images.items():
        out[f"crop_{size}"] = {"bytes": encode_png(image), "path": None}
        out[f"sha256_{size}"] = pixel_hash(image)
    return out
