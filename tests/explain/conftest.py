"""A manifest whose fakes have a checkerboard in one quadrant each, masks of it, and a detector that sees it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dfbench.io import file_sha256
from dfbench.manifest.info import content_hash, write_info
from dfbench.manifest.shards import Stamp, write_shard
from dfbench.manifest.summary import count_rows
from dfbench.media.images import encode_png, pixel_hash
from dfbench.models.card import SelectionRecord, WeightCard
from dfbench.models.source import model_source
from dfbench.models.weights import save_weights
from dfbench.schema.ids import media_id, sample_id, seed_from
from dfbench.schema.manifest import ManifestInfo, ShardInfo

SIZE = 32
FRAMES = 2
QUADRANTS = {"Upper": (0, 0), "Lower": (1, 0), "Right": (1, 1)}
PROTOCOL = """
name = "quadrants"
version = 1
source = "tests"
summary = "drawn patterns"
{roles}
[sampling]
frames = 2

[crops]
profile = "native"
size = 32

[metrics]
names = ["auc.frame"]
resamples = 100
"""
ROLE = """
[[data]]
role = "{role}"
dataset = "folder"
split = "{role}"
{only}
"""
NET = '''
import torch
from torch import nn


class Square(nn.Module):
    def forward(self, x):
        return x.square()


class Net(nn.Module):
    """Mean of the squares of one convolution; its maps are large where the image has the pattern of the kernel."""

    def __init__(self, num_classes=2, **_):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", bias=False)
        self.square = Square()
        self.head = nn.Linear(4, num_classes)

    def forward(self, images):
        return self.head(self.square(self.conv(images)).mean((2, 3)))


class Attending(Net):
    """The same without a final feature map: the positions do not count alike."""

    def forward(self, images):
        maps = self.square(self.conv(images))
        return self.head((maps * torch.linspace(0, 1, maps.shape[-1])).mean((2, 3)))


class Blind(Net):
    def forward(self, images):
        return super().forward(images.detach())


class Coarse(Net):
    """Its final feature map has a quarter of the image's height and width."""

    def __init__(self, num_classes=2, **_):
        super().__init__(num_classes)
        self.pool = nn.AvgPool2d(4)

    def forward(self, images):
        return self.head(self.pool(self.square(self.conv(images))).mean((2, 3)))
'''


def mask_of(manipulation: str) -> np.ndarray:
    """Return the quadrant of a manipulation, (S, S) bool."""
    row, column = QUADRANTS[manipulation]
    half = SIZE // 2
    mask = np.zeros((SIZE, SIZE), bool)
    mask[row * half : (row + 1) * half, column * half : (column + 1) * half] = True
    return mask


def draw(identity: str, manipulation: str) -> np.ndarray:
    generator = np.random.default_rng(seed_from(identity, "tests"))
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    phase = generator.uniform(0, 6, size=3)
    image = np.stack([0.5 + 0.3 * np.sin(4 * x + p) * np.cos(3 * y - p) for p in phase], axis=2)
    image += generator.normal(0, 0.01, image.shape)
    if manipulation != "real":
        board = 0.1 * ((np.arange(SIZE)[:, None] + np.arange(SIZE)) % 2 - 0.5)
        image += (board * mask_of(manipulation))[:, :, None]
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def rows_of(split: str, group: int, manipulation: str, masks: bool) -> list[dict[str, Any]]:
    name = f"{split}{group:02d}"
    media, base = media_id("folder", "all", manipulation, name), media_id("folder", "all", "real", name)
    rows = []
    for frame in range(FRAMES):
        image = draw(f"{base}{frame}", manipulation)
        row: dict[str, Any] = {
            "sample_id": sample_id(media, frame),
            "media_id": media,
            "dataset": "folder",
            "subset": "all",
            "manipulation": manipulation,
            "class": manipulation,
            "label": int(manipulation != "real"),
            "split": split,
            "scene_group": name,
            "media_path": f"{manipulation}/{name}.mp4",
            "base_media_id": None if manipulation == "real" else base,
            "frame_index": frame,
            "face_index": 0,
            "status": "ok",
            "reason": "",
            f"crop_{SIZE}": {"bytes": encode_png(image), "path": "x.png"},
            f"sha256_{SIZE}": pixel_hash(image),
        }
        # The mask of one clip ends before the clip.
        if masks and manipulation != "real" and not (group == 0 and frame == 1):
            mask = np.repeat(mask_of(manipulation)[:, :, None] * np.uint8(255), 3, axis=2)
            row |= {f"mask_{SIZE}": {"bytes": encode_png(mask), "path": None}, f"sha256_mask_{SIZE}": pixel_hash(mask)}
        rows.append(row)
    return rows


def build(
    folder: Path, groups: dict[str, int], masks: bool = False, manipulations: tuple[str, ...] = ("real", *QUADRANTS)
) -> Path:
    """Write a manifest of so many scene groups of each split, each with one clip of every manipulation."""
    folder.mkdir(parents=True)
    rows = [
        row
        for split, count in groups.items()
        for group in range(count)
        for manipulation in manipulations
        for row in rows_of(split, group, manipulation, masks)
    ]
    extras = ("masks",) if masks else ()
    shard = folder / "shard-00000.parquet"
    count = write_shard(shard, rows, (SIZE,), Stamp(recipe_hash="r", plan_hash="p", versions={}), extras)
    shards = (ShardInfo(file=shard.name, sha256=file_sha256(shard), rows=count),)
    info = ManifestInfo(
        name=folder.name,
        dataset="folder",
        complete=True,
        recipe={"sampling": {"rule": "frames", "frames": FRAMES}},
        recipe_hash="r",
        profile="native",
        sizes=(SIZE,),
        geometry="own",
        decoder="none",
        face_detector="none",
        versions={},
        shards=shards,
        counts=count_rows(pq.read_table(shard)),
        licence="drawn by the tests",
        hash=content_hash(shards),
    )
    write_info(folder, info)
    return folder


def protocol_text(roles: tuple[str, ...] = ("val", "test"), only: dict[str, str] | None = None) -> str:
    """Return a protocol of some roles; ``only`` limits the manipulations of a role."""
    parts = [ROLE.format(role=r, only=f'manipulations = ["{only[r]}"]' if only and r in only else "") for r in roles]
    return PROTOCOL.format(roles="".join(parts))


@pytest.fixture(scope="session")
def quadrants(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``.manifest`` with masks, ``.plain`` without, ``.protocol``, the detector ``.model`` and its ``.weights``."""
    base = tmp_path_factory.mktemp("quadrants")
    protocol, file = base / "quadrants.toml", base / "quadrant_net.py"
    protocol.write_text(protocol_text(), "utf-8")
    file.write_text(NET, "utf-8")
    names = [f"{file}:{name}" for name in ("Net", "Attending", "Blind", "Coarse")]
    weights = []
    for name in names:
        source = model_source(name)
        network = source.build(2, SIZE, {})
        board = 1.0 - 2.0 * ((torch.arange(3)[:, None] + torch.arange(3)) % 2)
        board -= board.mean()
        with torch.no_grad():
            network.state_dict()[next(n for n in network.state_dict() if n.endswith("conv.weight"))].copy_(
                board.expand(4, 3, 3, 3)
            )
            head = next(n for n in network.state_dict() if n.endswith("head.weight"))
            network.state_dict()[head].copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
        card = WeightCard(
            model=source.name,
            num_classes=2,
            profile="native",
            size=SIZE,
            selection=SelectionRecord(split="none", epoch=0, note="set by hand"),
            seed=3,
            mini=False,
        )
        path = base / f"{source.name.rpartition('.')[2]}.safetensors"
        save_weights(path, network, card)
        weights.append(path)
    return SimpleNamespace(
        manifest=build(base / "masked", {"val": 6, "test": 20}, masks=True),
        plain=build(base / "plain", {"val": 3, "test": 3}),
        build=build,
        protocol=protocol,
        protocol_text=protocol_text,
        models=names,
        all_weights=weights,
        model=names[0],
        weights=weights[0],
        mask_of=mask_of,
        draw=draw,
        size=SIZE,
    )
