"""A tiny manifest of drawn patterns, and a protocol for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfbench.io import file_sha256
from dfbench.manifest.info import content_hash, write_info
from dfbench.manifest.shards import Stamp, write_shard
from dfbench.manifest.summary import count_rows
from dfbench.media.images import encode_png, pixel_hash
from dfbench.schema.ids import media_id, sample_id, seed_from
from dfbench.schema.manifest import ManifestInfo, ShardInfo

SIZE = 64
FRAMES = 2
PROTOCOL = """
name = "{name}"
version = 1
source = "tests"
summary = "drawn patterns"

[[data]]
role = "train"
dataset = "{dataset}"
split = "train"

[[data]]
role = "val"
dataset = "{dataset}"
split = "val"

[[data]]
role = "test"
dataset = "{dataset}"
split = "test"

[sampling]
frames = 2

[crops]
profile = "native"
size = 64

[training]
epochs = 2
batch_size = 8
lr = 1e-3
sampling = "balanced"

[metrics]
names = ["acc.frame", "auc.frame", "eer.frame", "auc.video.mean"]
resamples = 100
"""


def draw(identity: str, fake: bool) -> np.ndarray:
    """Return a smooth random image; fakes carry a fine checkerboard."""
    generator = np.random.default_rng(seed_from(identity, "tests"))
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    phase = generator.uniform(0, 6, size=3)
    image = np.stack([0.5 + 0.3 * np.sin(4 * x + p) * np.cos(3 * y - p) for p in phase], axis=2)
    image += generator.normal(0, 0.01, image.shape)
    if fake:
        image += 0.08 * ((np.arange(SIZE)[:, None] + np.arange(SIZE)) % 2 - 0.5)[:, :, None]
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def rows_of(dataset: str, split: str, group: int, fake: bool, broken: bool) -> list[dict[str, Any]]:
    manipulation = "Checker" if fake else "real"
    media = media_id(dataset, "all", manipulation, f"{split}{group:02d}")
    rows = []
    for frame in range(FRAMES):
        lost = broken and frame == 0
        image = draw(f"{media}{frame}", fake)
        rows.append(
            {
                "sample_id": sample_id(media, frame),
                "media_id": media,
                "dataset": dataset,
                "subset": "all",
                "manipulation": manipulation,
                "class": manipulation,
                "label": int(fake),
                "split": split,
                "scene_group": f"{split}{group:02d}",
                "media_path": f"{manipulation}/{split}{group:02d}.mp4",
                "frame_index": frame,
                "face_index": 0,
                "status": "no_face" if lost else "ok",
                "reason": "no face found" if lost else "",
                f"crop_{SIZE}": None if lost else {"bytes": encode_png(image), "path": "x.png"},
                f"sha256_{SIZE}": None if lost else pixel_hash(image),
            }
        )
    return rows


def build(
    folder: Path,
    dataset: str = "folder",
    groups: int = 8,
    extras: tuple[str, ...] = (),
    add: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: {},
) -> Path:
    """Write a finished manifest: per split ``groups`` real and fake clips of two frames; one test frame has no face.

    Args:
        folder: its folder.
        dataset: name of the data set.
        groups: real and fake clips per split.
        extras: groups of optional columns.
        add: further columns of a row.
    """
    folder.mkdir(parents=True)
    recipe = {"sampling": {"rule": "frames", "frames": FRAMES}}
    stamp = Stamp(recipe_hash="r", plan_hash="p", versions={})
    rows = [
        row
        for split in ("train", "val", "test")
        for group in range(groups)
        for fake in (False, True)
        for row in rows_of(dataset, split, group, fake, broken=split == "test" and group == 0)
    ]
    rows = [row | add(row) for row in rows]
    count = write_shard(folder / "shard-00000.parquet", rows, (SIZE,), stamp, extras)
    shards = (ShardInfo(file="shard-00000.parquet", sha256=file_sha256(folder / "shard-00000.parquet"), rows=count),)
    import pyarrow.parquet as pq

    info = ManifestInfo(
        name=folder.name,
        dataset=dataset,
        complete=True,
        recipe=recipe,
        recipe_hash="r",
        profile="native",
        sizes=(SIZE,),
        extras=extras,
        geometry="own",
        decoder="none",
        face_detector="none",
        versions={},
        shards=shards,
        counts=count_rows(pq.read_table(folder / "shard-00000.parquet")),
        licence="drawn by the tests",
        hash=content_hash(shards),
    )
    write_info(folder, info)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``.manifest`` and ``.protocol`` of drawn patterns; ``.make(name, dataset, ...)`` makes another pair."""
    base = tmp_path_factory.mktemp("tiny")

    def make(name: str, dataset: str, groups: int = 8, **columns: Any) -> SimpleNamespace:
        file = base / f"{name}.toml"
        file.write_text(PROTOCOL.format(name=name, dataset=dataset), "utf-8")
        return SimpleNamespace(manifest=build(base / name, dataset, groups, **columns), protocol=file)

    first = make("tiny", "folder")
    maker: Callable[..., SimpleNamespace] = make
    return SimpleNamespace(manifest=first.manifest, protocol=first.protocol, make=maker, size=SIZE)
