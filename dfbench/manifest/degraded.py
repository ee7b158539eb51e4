"""A manifest's crops under a condition: as rows for a copy, or as a dataset for a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from dfbench import degrade
from dfbench.errors import DataError
from dfbench.manifest.media import find_media_root
from dfbench.manifest.recrop import GEOMETRY, needs_media, recut
from dfbench.manifest.samples import Samples
from dfbench.manifest.shards import open_shard
from dfbench.manifest.torch_dataset import CropDataset, cached
from dfbench.media.images import decode_image, encode_png, pixel_hash

if TYPE_CHECKING:
    from dfbench.manifest.manifest import Manifest

Row = dict[str, Any]

VERSION = 2  # raised when the same condition would give other crops


@dataclass(frozen=True)
class Degrader:
    """Gives rows their crops under a condition; goes to worker processes.

    Attributes:
        condition: the condition.
        profile: the manifest's crop profile.
        sizes: crop sizes in pixels.
        root: folder that media paths are relative to; None where no medium is read.
        decoder: name of the video reader.
    """

    condition: degrade.Condition
    profile: str
    sizes: tuple[int, ...]
    root: Path | None
    decoder: str

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of one medium, those with a crop under the condition, in their order; the others as they are."""
        ok = [row for row in rows if row["status"] == "ok"]
        pictures = iter(self.pictures(ok))
        return [row | _columns(next(pictures)) if row["status"] == "ok" else row for row in rows]

    def pictures(self, rows: Sequence[Row]) -> Iterator[dict[int, np.ndarray]]:
        """For each of some rows of one medium, all with a crop: size -> uint8 (size, size, 3), RGB."""
        if not rows:
            return
        if self.condition.where == "crop":
            for row in rows:
                crops = {size: decode_image(row[f"crop_{size}"]["bytes"]) for size in self.sizes}
                yield {s: degrade.apply(self.condition, image, row["sample_id"]) for s, image in crops.items()}
            return
        ordered = sorted(range(len(rows)), key=lambda n: (rows[n]["frame_index"], n))
        cut = recut([rows[n] for n in ordered], self.condition, self.profile, self.sizes, self.root, self.decoder)
        found = dict(zip(ordered, cut, strict=True))
        yield from (found[n] for n in range(len(rows)))

    def encoded(self, rows: Sequence[Row]) -> list[bytes]:
        """The only crop of each of some rows of one medium, as image files."""
        (size,) = self.sizes
        return [encode_png(pictures[size]) for pictures in self.pictures(rows)]


def make_degrader(
    manifest: Manifest,
    condition: degrade.Condition,
    sizes: Sequence[int],
    root: str | Path | None = None,
) -> Degrader:
    """What degrades the crops of a manifest; its media are looked for where the condition needs them.

    Raises:
        DataError: the media are needed and no root is known or right, or the manifest is degraded itself.
    """
    info = manifest.info
    if info.condition != "clean":
        raise DataError(
            f"the manifest {manifest.path} is degraded already, under {info.condition}",
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
    return Degrader(condition, info.profile, tuple(sizes), folder, info.decoder)


def _reads_media(manifest: Manifest, condition: degrade.Condition) -> bool:
    if condition.where == "clip" or "patch" not in manifest.info.extras:
        return True
    # Whether there is a patch its box says; the pictures need not be read for that.
    table = manifest.table(["status", "width", "height", "patch_box"])
    rows = (row | {"patch": row["patch_box"]} for row in table.to_pylist() if row["status"] == "ok")
    return any(needs_media(row, condition) for row in rows)


def degraded_dataset(
    manifest: Manifest, samples: Samples, size: int, degrader: Degrader, advance: Callable[[int], None]
) -> CropDataset:
    """The samples that have a crop, under a condition that acts before cropping.

    The crops are made once, medium by medium on all cores, and kept in the user's cache folder under a name made of
    manifest, rows and condition: another detector, or the same one after an interruption, finds them there.

    Args:
        manifest: the manifest.
        samples: of it; those with status ok are taken.
        size: crop size in pixels.
        degrader: from :func:`make_degrader`, for this size.
        advance: called with the number of crops that are ready.
    """
    places = np.flatnonzero(samples.has_crop).astype(np.int64)
    chosen = samples.take(places)

    def make() -> Iterator[bytes]:
        media = (list(rows) for _, rows in groupby(_geometry(manifest, chosen), key=lambda row: row["media_id"]))
        pool = joblib.Parallel(n_jobs=joblib.cpu_count(), batch_size=1, return_as="generator")
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            for images in pool(joblib.delayed(degrader.encoded)(rows) for rows in media):
                yield from images
                advance(len(images))

    what = f"crops {size} {degrader.condition.name} {VERSION} {_versions()}"
    return CropDataset(chosen, places, size, cached(manifest, chosen.rows, what, make))


def _versions() -> str:
    import av
    import cv2
    import PIL

    return f"av {av.__version__} cv2 {cv2.__version__} numpy {np.__version__} pillow {PIL.__version__}"


def _geometry(manifest: Manifest, samples: Samples) -> Iterator[Row]:
    extras = [c for c in ("dense", "patch_box") if c in samples.table.column_names]
    table = samples.table.select([*GEOMETRY, *extras])
    if "patch" not in manifest.info.extras:
        yield from table.to_pylist()
        return
    yield from _with_patches(manifest, table.to_pylist(), samples)


def _with_patches(manifest: Manifest, rows: list[Row], samples: Samples) -> Iterator[Row]:
    start, done = 0, 0
    for shard in manifest.info.shards:
        here = samples.rows[(samples.rows >= start) & (samples.rows < start + shard.rows)] - start
        if len(here):
            patches = open_shard(manifest.path / shard.file).read(columns=["patch"])["patch"].take(here).to_pylist()
            yield from (row | {"patch": p} for row, p in zip(rows[done : done + len(here)], patches, strict=True))
        start, done = start + shard.rows, done + len(here)


def _columns(pictures: dict[int, np.ndarray]) -> Row:
    out: Row = {}
    for size, picture in pictures.items():
        out[f"crop_{size}"] = {"bytes": encode_png(picture), "path": None}
        out[f"sha256_{size}"] = pixel_hash(picture)
    return out
