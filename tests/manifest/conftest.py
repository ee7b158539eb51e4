"""A small manifest of random images, written by the writer that prepare uses; no clip is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfbench.io import file_sha256
from dfbench.manifest.info import content_hash, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, write_shard
from dfbench.manifest.summary import count_rows
from dfbench.media.images import encode_png, pixel_hash
from dfbench.schema.ids import sample_id
from dfbench.schema.manifest import ManifestInfo, ShardInfo

FRAMES = 8


def random_image(sample: str, size: int) -> np.ndarray:
    """The crop of a sample: random, but the same each time."""
    seed = np.frombuffer(sample.encode(), np.uint8).sum() * 1000 + size
    return np.random.default_rng(int(seed)).integers(0, 256, (size, size, 3), np.uint8)


def row(
    subset: str, split: str, manipulation: str, clip: str, frame: int, status: str, sizes: tuple[int, ...]
) -> dict[str, Any]:
    media = f"mini/{subset}/{manipulation}/{clip}"
    sample = sample_id(media, frame)
    out: dict[str, Any] = {
        "sample_id": sample,
        "media_id": media,
        "dataset": "mini",
        "subset": subset,
        "manipulation": manipulation,
        "class": manipulation,
        "label": int(manipulation != "real"),
        "split": split,
        "scene_group": f"mini/{clip}",
        "media_path": f"{media}.mp4",
        "frame_index": frame,
        "frame_count": FRAMES,
        "face_index": 0,
        "status": status,
        "reason": "" if status == "ok" else "no face found",
    }
    if status == "ok":
        out |= {"box": [1, 2, 3, 4], "landmarks": list(range(10)), "matrix": [1, 0, 0, 0, 1, 0], "scale": 1.0}
        for size in sizes:
            image = random_image(sample, size)
            out |= {f"crop_{size}": {"bytes": encode_png(image), "path": None}, f"sha256_{size}": pixel_hash(image)}
    return out


def all_rows(
    sizes: tuple[int, ...], subsets: tuple[str, ...], splits: tuple[str, ...], frames: int = FRAMES
) -> list[list[dict[str, Any]]]:
    """One list a shard; frame 3 of the first fake of each split has no face."""
    shards = []
    for n, split in enumerate(splits):
        rows = [
            row(
                subset,
                split,
                method,
                f"{n}0{k}",
                frame,
                "no_face" if (method, k, frame) == ("FaceSwap", 0, 3) else "ok",
                sizes,
            )
            for subset in subsets
            for method in ("Deepfakes", "FaceSwap", "real")
            for k in range(2)
            for frame in range(frames)
        ]
        shards.append(rows)
    return shards


@pytest.fixture(scope="session")
def build() -> Callable[..., Manifest]:
    """Write a manifest into a folder; fields of ``manifest.json`` can be overridden."""

    def make(
        folder: Path,
        sizes: tuple[int, ...] = (128,),
        subsets: tuple[str, ...] = ("c23", "c40"),
        splits: tuple[str, ...] = ("test", "train", "val"),
        recipe: dict[str, Any] | None = None,
        frames: int = FRAMES,
        **changes: Any,
    ) -> Manifest:
        folder.mkdir(parents=True, exist_ok=True)
        shards = []
        for number, rows in enumerate(all_rows(sizes, subsets, splits, frames)):
            rows = [one | {"frame_count": frames} for one in rows]
            path = folder / f"shard-{number:05d}.parquet"
            stamp = Stamp(recipe_hash="recipe", plan_hash=str(number), versions={"dfbench": "0"})
            count = write_shard(path, rows, sizes, stamp)
            shards.append(ShardInfo(file=path.name, sha256=file_sha256(path), rows=count))
        draft = ManifestInfo(
            name=folder.name,
            dataset="mini",
            complete=True,
            recipe=recipe or {"sampling": {"rule": "frames", "frames": FRAMES}},
            recipe_hash="recipe",
            profile="native",
            sizes=sizes,
            geometry="own",
            decoder="pyav",
            face_detector="centerface",
            versions={},
            shards=tuple(shards),
            licence="none",
            hash=content_hash(shards),
        )
        write_info(folder, draft)
        counts = count_rows(open_manifest(folder).table())
        write_info(folder, draft.model_copy(update={"counts": counts} | changes))
        return open_manifest(folder, allow_incomplete=True)

    return make


@pytest.fixture(scope="session")
def manifest(build: Callable[..., Manifest], tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return build(tmp_path_factory.mktemp("manifests") / "mini", sizes=(64, 128))


@pytest.fixture(scope="session")
def image_of() -> Callable[[str, int], np.ndarray]:
    return random_image
