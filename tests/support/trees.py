"""Small trees of empty files in the layouts of the data sets, and manifests of plain images for their content."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dfbench.io import file_sha256
from dfbench.manifest.info import content_hash, write_info
from dfbench.manifest.manifest import Manifest, open_manifest
from dfbench.manifest.shards import Stamp, write_shard
from dfbench.manifest.summary import count_rows
from dfbench.media.images import encode_png, pixel_hash
from dfbench.preparation.planning.options import PreparationRequest
from dfbench.preparation.planning.request import make_recipe
from dfbench.preparation.planning.shard_plan import ShardPlan, plan_shards
from dfbench.protocols.protocol import Protocol
from dfbench.resources import facts_folder
from dfbench.schema.ids import sample_id, seed_from
from dfbench.schema.manifest import ManifestInfo, ShardInfo

CLIP_FRAMES = {"dfdc": 61}
FEW_FRAMES = 4
FFPP_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")


def touch(root: Path, paths: Iterable[str]) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def ffpp(root: Path) -> Path:
    with (facts_folder() / "ffpp_pairs.csv").open() as stream:
        pairs = list(csv.DictReader(stream))
    chosen = [p for split in ("train", "val", "test") for p in [p for p in pairs if p["split"] == split][:2]]
    return touch(
        root,
        [
            path
            for c in ("raw", "c23", "c40")
            for pair in chosen
            for a, b in ((pair["a"], pair["b"]), (pair["b"], pair["a"]))
            for path in (
                f"original_sequences/youtube/{c}/videos/{a}.mp4",
                *(f"manipulated_sequences/{m}/{c}/videos/{a}_{b}.mp4" for m in FFPP_METHODS),
            )
        ],
    )


def dfd(root: Path) -> Path:
    return touch(
        root,
        [
            path
            for c in ("raw", "c23")
            for a, b in (("01", "02"), ("02", "01"))
            for path in (
                f"original_sequences/actors/{c}/videos/{a}__exit_phone_room.mp4",
                f"manipulated_sequences/DeepFakeDetection/{c}/videos/{a}_{b}__exit_phone_room__YVGY8LOK.mp4",
            )
        ],
    )


def dfdc(root: Path) -> Path:
    """A training part of forty originals with a fake each; a test part of two."""
    part = root / "train" / "dfdc_train_part_0"
    names = [f"r{n:09d}.mp4" for n in range(40)]
    labels: dict[str, Any] = {name: {"label": "REAL", "split": "train"} for name in names}
    labels |= {f"f{name[1:]}": {"label": "FAKE", "split": "train", "original": name} for name in names}
    touch(part, labels)
    (part / "metadata.json").write_text(json.dumps(labels))
    touch(root / "test", ["tttttttttt.mp4", "uuuuuuuuuu.mp4"])
    (root / "test" / "metadata.json").write_text(
        json.dumps({"tttttttttt.mp4": {"is_fake": 1}, "uuuuuuuuuu.mp4": {"is_fake": 0}})
    )
    return root


def dfdcp(root: Path) -> Path:
    real, fake = "original_videos/1255229/1255229_C_001.mp4", "method_B/1260311/1260311_C/1255229_1260311_C_001.mp4"
    entries = {
        real: {"label": "real", "set": "test", "augmentations": []},
        fake: {"label": "fake", "set": "test", "target_id": 1260311, "swapped_id": 1255229, "source_video": real},
    }
    touch(root, entries)
    (root / "dataset.json").write_text(json.dumps(entries))
    return root


def celeb_df(root: Path) -> Path:
    clips = [
        *("Celeb-real/id0_0000.mp4", "Celeb-real/id1_0007.mp4", "YouTube-real/00000.mp4", "YouTube-real/00170.mp4"),
        *("Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id1_id0_0007.mp4"),
        *(f"Celeb-real/id{n}_0000.mp4" for n in range(20, 40)),
        *(f"Celeb-synthesis/id{n}_id0_0000.mp4" for n in range(20, 40)),
    ]
    tested = ["1 YouTube-real/00170.mp4", "1 Celeb-real/id1_0007.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"]
    touch(root, clips)
    (root / "List_of_testing_videos.txt").write_text("\n".join(tested) + "\n")
    return root


def hff(root: Path) -> Path:
    kinds = [("real", k) for k in ("CelebA", "CelebA-HQ", "YouTube-Frame")]
    kinds += [("fake", k) for k in ("PGGAN", "StyleGAN", "Glow", "Face2Face", "StarGAN")]
    sizes = (("train", 10), ("test", 3))
    return touch(root, [f"{s}/{la}/{k}/{n:06d}.png" for s, count in sizes for la, k in kinds for n in range(count)])


def wilddeepfake(root: Path) -> Path:
    return touch(
        root,
        [
            f"{la}_{s}/0/{n}/{i}.png"
            for la in ("real", "fake")
            for s in ("train", "test")
            for n in (1, 2)
            for i in (1, 2)
        ],
    )


def ffiw(root: Path) -> Path:
    return touch(
        root, [f"{la}/{s}/videos/{n:08d}.mp4" for la in ("source", "target") for s in ("train", "val") for n in (1, 2)]
    )


def diffswap(root: Path) -> Path:
    touch(root, ["DiffSwap/0_7.png", "DiffSwap/1_8.png", "Real/0.jpg", "Real/1.jpg"])
    (root / "DiffSwap/target_source.csv").write_text("target,source\n0.jpg,7.jpg\n1.jpg,8.jpg\n")
    return root


TREES: dict[str, Callable[[Path], Path]] = {
    "ff++": ffpp,
    "dfd": dfd,
    "dfdc": dfdc,
    "dfdcp": dfdcp,
    "celeb-df-v1": celeb_df,
    "celeb-df-v2": celeb_df,
    "hff": hff,
    "ffiw": ffiw,
    "wilddeepfake": wilddeepfake,
    "diffswap": diffswap,
}


def plan_of(protocol: Protocol, dataset: str, tree: Path) -> ShardPlan:
    """What ``prepare`` would make for a protocol."""
    return plan_shards(make_recipe(PreparationRequest(dataset, protocol=protocol)), tree)


def manifest_of(plan: ShardPlan, folder: Path) -> Manifest:
    """The manifest that ``prepare`` would write, with images of one colour: brighter for fakes, no clip is read."""
    recipe = plan.recipe
    (size,) = recipe.sizes
    folder.mkdir(parents=True)
    shards = []
    for shard in plan.shards:
        rows = [row for job in shard.jobs(recipe.sampling) for row in _rows(job.media, job.sampling, size)]
        stamp = Stamp(recipe_hash=recipe.hash, plan_hash=shard.hash, versions={})
        count = write_shard(folder / shard.file, rows, recipe.sizes, stamp)
        shards.append(ShardInfo(file=shard.file, sha256=file_sha256(folder / shard.file), rows=count))
    info = ManifestInfo(
        name=folder.name,
        dataset=recipe.dataset,
        complete=True,
        recipe=recipe.to_json(),
        recipe_hash=recipe.hash,
        profile=recipe.profile,
        sizes=recipe.sizes,
        geometry=recipe.geometry,
        decoder=recipe.decoder,
        face_detector=recipe.face_detector,
        versions={},
        shards=tuple(shards),
        licence="drawn by the tests",
        hash=content_hash(shards),
    )
    write_info(folder, info)
    write_info(folder, info.model_copy(update={"counts": count_rows(open_manifest(folder).table())}))
    return open_manifest(folder)


@cache
def grey_image(grey: int, size: int) -> tuple[bytes, str]:
    image = np.full((size, size, 3), grey, np.uint8)
    return encode_png(image), pixel_hash(image)


def _rows(media: Any, sampling: Any, size: int) -> list[dict[str, Any]]:
    count = 1 if media.kind == "image" else CLIP_FRAMES.get(media.dataset, FEW_FRAMES)
    rows = []
    for frame in sampling.indices(count, media.media_id):
        grey = 60 + 80 * media.label + seed_from(media.media_id, "grey", frame) % 90
        content, digest = grey_image(grey, size)
        rows.append(
            {
                "sample_id": sample_id(media.media_id, frame),
                "media_id": media.media_id,
                "dataset": media.dataset,
                "subset": media.subset,
                "manipulation": media.manipulation,
                "class": media.class_name or media.manipulation,
                "label": media.label,
                "split": media.split,
                "scene_group": media.scene_group,
                "base_media_id": media.base_media_id,
                "media_path": media.path,
                "frame_index": frame,
                "frame_count": count,
                "face_index": 0,
                "face_count": 1,
                "status": "ok",
                "reason": "",
                f"crop_{size}": {"bytes": content, "path": None},
                f"sha256_{size}": digest,
            }
        )
    return rows
