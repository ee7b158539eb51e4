"""``recrop``: a manifest with patches becomes one with other crops, without the videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, parallel_config

from dfbench.errors import DataError, UsageError
from dfbench.faces.crops import crop_region, source_rectangle
from dfbench.faces.pairing import served_profile
from dfbench.faces.profiles import CropProfile, get_profile
from dfbench.manifest.info import read_info, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, open_shard, read_shard, read_stamp, sha256_of, write_shard
from dfbench.media.images import decode_image, encode_png, pixel_hash
from dfbench.preparation.engine import job_count
from dfbench.preparation.finish import finished
from dfbench.preparation.folder import check_folder, clear_temporary, locked, remove_stale_shards
from dfbench.preparation.patch import region
from dfbench.preparation.recipe import canonical_hash
from dfbench.preparation.resolve import check_sizes
from dfbench.preparation.rows import Row, face_of
from dfbench.preparation.versions import merged, pixel_versions
from dfbench.progress import progress
from dfbench.schema.manifest import MANIFEST, ShardInfo, extra_columns

VERSION = 1  # raised when the same patches would give other crops
BATCH = 32  # rows in memory at a time: a patch of a large face is some megabytes

_PLAIN = [column.name for column in MANIFEST.columns]
_GEOMETRY = ["sample_id", "status", "width", "height", "face_score", "box", "landmarks", "patch_box"]


@dataclass(frozen=True)
class RecropTask:
    """All that a worker needs for one shard.

    Attributes:
        source: shard of the manifest with patches.
        target: shard to make.
        profile: name of the crop profile.
        sizes: crop sizes in pixels, rising.
        extras: groups of optional columns that are carried over.
        stamp: written into the file.
    """

    source: Path
    target: Path
    profile: str
    sizes: tuple[int, ...]
    extras: tuple[str, ...]
    stamp: Stamp


def recrop(
    manifest: Manifest | str | Path,
    out: str | Path,
    *,
    profile: str | None = None,
    sizes: Sequence[int] | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> Manifest:
    """Cut new crops out of a manifest's patches.

    Every row stays, with its status and its face; crops, matrix and scale are made anew, and are those that ``prepare``
    would have made wherever the patch covers them. Where it does not, its border goes on, and
    ``manifest.json`` counts such rows. Finished shards are kept over kills.

    Args:
        manifest: a manifest prepared with patches, or its folder.
        out: folder of the new manifest.
        profile: crop profile; default: the manifest's. A peer's profile whose face detector did not find these faces
            is approximate, and its name ends in ``~``.
        sizes: crop sizes in pixels; default: those usual with the profile.
        jobs: worker processes; default: one a core.
        quiet: no progress bar.

    Raises:
        UsageError: an unknown profile, a size out of range, or ``out`` holds another manifest.
        DataError: the manifest has no patches, or is damaged.
        SetupError: the disk is full, or another run is at work in ``out``.
    """
    source = manifest if isinstance(manifest, Manifest) else open_manifest(manifest)
    info = source.info
    if "patch" not in info.extras:
        raise DataError(
            f"the manifest {source.path} holds no patches",
            f"prepare it with them: dfbench prepare {info.dataset} --patch --out DIR",
        )
    name = served_profile(profile or info.profile, info.profile, info.face_detector)
    wanted = check_sizes(sizes or get_profile(name).usual_sizes)
    folder = Path(out).expanduser()
    if folder.resolve() == source.path.resolve():
        raise UsageError("a manifest can not be cut anew into its own folder", "give --out DIR")
    # Masks were cut from videos that are not needed here.
    extras = tuple(group for group in info.extras if group not in ("patch", "masks"))
    recipe = _recipe(source, name, wanted)
    workers = job_count(jobs)
    with locked(folder):
        check_folder(folder, recipe)
        clear_temporary(folder)
        try:
            return _run(source, folder, recipe, name, wanted, extras, workers, quiet)
        finally:
            clear_temporary(folder)


def _recipe(source: Manifest, profile: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    kept = {key: value for key, value in source.info.recipe.items() if key not in ("patch", "masks", "recrop")}
    origin = {"version": VERSION, "manifest": source.info.name, "hash": source.info.hash}
    return kept | {"profile": profile, "sizes": list(sizes), "recrop": origin}


def _run(
    source: Manifest,
    out: Path,
    recipe: dict[str, Any],
    profile: str,
    sizes: tuple[int, ...],
    extras: tuple[str, ...],
    jobs: int,
    quiet: bool,
) -> Manifest:
    versions = merged([source.info.versions, pixel_versions()])
    digest = canonical_hash(recipe)
    tasks = [
        RecropTask(
            source.path / shard.file,
            out / shard.file,
            profile,
            sizes,
            extras,
            Stamp(recipe_hash=digest, plan_hash=shard.sha256, versions=versions),
        )
        for shard in source.info.shards
    ]
    todo = [task for task in tasks if not _is_finished(task)]
    if not todo and _is_complete(out, digest):
        return open_manifest(out)
    info = source.info.model_copy(
        update={
            "name": out.resolve().name,
            "complete": False,
            "recipe": recipe,
            "recipe_hash": digest,
            "profile": profile,
            "sizes": sizes,
            "extras": extras,
            "shards": (),
            "hash": "",
            "recrop": dict(recipe["recrop"]),
        }
    )
    write_info(out, info)
    remove_stale_shards(out, {task.target.name for task in tasks})
    with progress(f"recrop {source.name}", len(tasks), "shards", len(tasks) - len(todo), quiet) as advance:
        for _ in _done(todo, jobs):
            advance(1)
    shards = [ShardInfo(file=t.target.name, sha256=sha256_of(t.target), rows=_rows_in(t.target)) for t in tasks]
    uncovered = _uncovered(source, get_profile(profile), sizes)
    write_info(out, finished(info.model_copy(update={"recrop": info.recrop | {"uncovered": uncovered}}), out, shards))
    return open_manifest(out)


def _done(tasks: Sequence[RecropTask], jobs: int) -> Iterator[Path]:
    if jobs == 1 or len(tasks) < 2:
        yield from map(recrop_shard, tasks)
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        run = Parallel(n_jobs=jobs, batch_size=1, pre_dispatch=jobs, return_as="generator_unordered")
        yield from run(delayed(recrop_shard)(task) for task in tasks)


def recrop_shard(task: RecropTask) -> Path:
    """Make one shard and return its file: the same bytes in whatever process and order it runs."""
    write_shard(task.target, _new_rows(task), task.sizes, task.stamp, task.extras)
    return task.target


def _new_rows(task: RecropTask) -> Iterator[Row]:
    profile = get_profile(task.profile)
    carried = [column.name for column in extra_columns(task.extras, task.sizes)]
    columns = [*_PLAIN, *carried, "patch", "patch_box"]
    for batch in open_shard(task.source).iter_batches(batch_size=BATCH, columns=columns):
        for row in batch.to_pylist():
            kept = {name: row[name] for name in (*_PLAIN, *carried)}
            yield kept | _crops(row, profile, task.sizes) if row["status"] == "ok" else kept


def _crops(row: Row, profile: CropProfile, sizes: tuple[int, ...]) -> Row:
    if row["patch"] is None or row["box"] is None:
        raise DataError(f"{row['sample_id']} has no patch: it was a ready-made crop", "prepare it at the sizes wanted")
    width, height = row["width"], row["height"]
    x1, y1, x2, y2 = row["patch_box"]
    patch = region(decode_image(row["patch"]["bytes"]), (x1, y1, x2, y2), width, height)
    out: Row = {}
    for size in sizes:
        matrix = profile.matrix(face_of(row), size, width, height)
        picture, _ = crop_region(patch, matrix, size, profile.resampling)
        out[f"crop_{size}"] = {"bytes": encode_png(picture), "path": None}
        out[f"sha256_{size}"] = pixel_hash(picture)
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


def _is_finished(task: RecropTask) -> bool:
    stamp = read_stamp(task.target)
    return stamp is not None and stamp == task.stamp.model_copy(update={"versions": stamp.versions})


def _is_complete(out: Path, digest: str) -> bool:
    try:
        info = read_info(out)
    except DataError:
        return False
    return info.complete and info.recipe_hash == digest


def _rows_in(path: Path) -> int:
    rows: int = open_shard(path).metadata.num_rows
    return rows
