"""How fast crops come from a manifest: the start, the memory, the copies on disk and the rate, as ratios to 0.1.0.

Usage: python benchmarks/loader.py [--rows 1000000] [--json FILE] [--page docs/results/loader.md]
       python benchmarks/loader.py --quick

A synthetic manifest holds ``--rows`` crops of 128 pixels: 1,000 different PNG files of about 24 kB, repeated, in clips
of 32 frames, four fakes to a real (24 GB for a million, and as much again for the copy that the old way makes; where
less is free, give fewer rows). Two ways of reading take turns, each start in a process of its own:

* now: crops are read where they lie in the shards, the order ``paired`` is vectorised, batches keep the memory layout
  of decoded images;
* before: as dfbench 0.1.0 did it, carried in this file: all crops are read at the start and copied to the cache above
  2 GiB, a loop draws the partner of every fake, images are transposed one by one.

The rate is that of one process and one thread, from the file to the float input of a detector, in CPU time.
``now`` decodes by kornia-rs, which the extra ``models`` installs; ``opencv`` is the same without it; ``decoded`` is the
optional store of decoded crops.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

SIZE, FRAMES, DISTINCT = 128, 32, 1000
ARMS = ("now", "before")
ORDER_ROWS = 1_000_000
NAMES = (
    ("samples_s", "ids, labels and bases of the samples, s", 1),
    ("samples_mb", "the same, MB", 0),
    ("first_batch_s", "then the first batch, s", 2),
    ("first_batch_mb", "the same, MB", 0),
)
BATCH = 64
LIMIT = 2 << 30  # bytes of crops that 0.1.0 held in memory
INTRODUCTION = """# Reading crops

Measured by `benchmarks/loader.py`, which says what the two ways are: *before* is dfbench 0.1.0. One process, one
thread, on a busy machine of two cores: seconds hold for it only, ratios carry over. The rate of *now* is that of PNG
decoding ([measured](png-decoders.md)), by kornia-rs of the extra `models` or by OpenCV, and avoided by the store of
decoded crops (`dfbench train --decoded`), which takes twice the disk space. All times and sizes but those of the first
batch grow in proportion to the rows.

"""
PROTOCOL = """
name = "loader"
version = 1
source = "benchmarks/loader.py"
summary = "synthetic crops"
data = [
  {role = "train", dataset = "folder", split = "train"},
  {role = "test", dataset = "folder", split = "test"},
]
[sampling]
frames = 32
[crops]
profile = "native"
size = 128
[training]
sampling = "paired"
[selection]
split = "none"
[metrics]
names = ["auc.frame"]
"""


def make_manifest(folder: Path, rows: int) -> None:
    """Write the manifest and its protocol, with the writer that ``prepare`` uses."""
    from dfbench.manifest.info import content_hash, write_info
    from dfbench.manifest.shards import Stamp, write_shard
    from dfbench.media.images import encode_png
    from dfbench.schema.ids import media_id, sample_id
    from dfbench.schema.manifest import ManifestInfo, ShardInfo

    rng = np.random.default_rng(0)
    files = []
    for _ in range(min(DISTINCT, rows)):
        image = cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        files.append(encode_png(np.clip(image + rng.normal(0, 0.6, image.shape), 0, 255).astype(np.uint8)))

    def all_rows() -> Iterator[dict[str, Any]]:
        for number in range(rows):
            clip, frame = divmod(number, FRAMES)
            group, method = divmod(clip, 5)
            name = f"method{method}" if method else "real"
            media, base = (media_id("folder", "all", kind, f"{group:06d}") for kind in (name, "real"))
            yield {
                "sample_id": sample_id(media, frame), "media_id": media, "dataset": "folder", "subset": "all",
                "manipulation": name, "class": name, "label": int(method > 0), "split": "train",
                "scene_group": f"folder/{group:06d}", "base_media_id": base, "media_path": f"{name}/{group:06d}.mp4",
                "frame_index": frame, "frame_count": FRAMES, "face_index": 0, "status": "ok", "reason": "",
                "box": [1.0] * 4, "landmarks": [1.0] * 10, "matrix": [1.0] * 6, "scale": 1.0,
                f"crop_{SIZE}": {"bytes": files[number % len(files)], "path": None}, f"sha256_{SIZE}": "0" * 64,
            }  # fmt: skip

    shards, every = [], all_rows()
    stamp = Stamp(recipe_hash="r", plan_hash="p", versions={})
    for number in range(-(-rows // 1024)):
        name = f"shard-{number:05d}.parquet"
        count = write_shard(folder / name, itertools.islice(every, 1024), (SIZE,), stamp)
        shards.append(ShardInfo(file=name, sha256=f"{number:064d}", rows=count))
    info = ManifestInfo(
        name="loader", dataset="folder", complete=True, recipe={"sampling": {"rule": "frames", "frames": FRAMES}},
        recipe_hash="r", profile="native", sizes=(SIZE,), geometry="own", decoder="none", face_detector="none",
        versions={}, shards=tuple(shards), licence="drawn", hash=content_hash(shards),
    )  # fmt: skip
    write_info(folder, info)
    (folder / "loader.toml").write_text(PROTOCOL, "utf-8")


# --- the way of 0.1.0 ---


class OldCrops:
    """All crops of the samples: in memory, or mapped from a copy in the cache folder."""

    def __init__(self, manifest: Any, rows: np.ndarray, cache: Path) -> None:
        pieces: list[bytes] = []
        held = 0
        self.data: Any = None
        for data in self._encoded(manifest, rows):
            held += len(data)
            if held > LIMIT:
                self._map(manifest, rows, cache)
                return
            pieces.append(data)
        self.offsets = np.cumsum([0, *map(len, pieces)])
        self.data = np.frombuffer(b"".join(pieces), np.uint8)

    def _map(self, manifest: Any, rows: np.ndarray, cache: Path) -> None:
        file, index = cache / "old.bin", cache / "old.npy"
        if not index.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            lengths = [0]
            with file.open("wb") as stream:
                for data in self._encoded(manifest, rows):
                    stream.write(data)
                    lengths.append(len(data))
            np.save(index, np.cumsum(lengths))
        self.offsets, self.data = np.load(index), np.memmap(file, np.uint8, mode="r")

    @staticmethod
    def _encoded(manifest: Any, rows: np.ndarray) -> Iterator[bytes]:
        import pyarrow.parquet as pq

        start = 0
        for shard in manifest.info.shards:
            count = pq.ParquetFile(manifest.path / shard.file).metadata.num_row_groups
            for number in range(count):
                opened = pq.ParquetFile(manifest.path / shard.file)
                column = (
                    opened.read_row_group(number, columns=[f"crop_{SIZE}"]).column(0).combine_chunks().field("bytes")
                )
                for row in rows[(rows >= start) & (rows < start + len(column))].tolist():
                    yield column[row - start].as_py()
                start += len(column)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Any:
        import torch

        from dfbench.media.images import decode_image

        image = decode_image(self.data[self.offsets[index] : self.offsets[index + 1]].tobytes())
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), index


def old_order(labels: Sequence[int], bases: Sequence[str]) -> np.ndarray:
    """The order ``paired`` as it was: a random real of its base for every fake, one after the other."""
    y = np.asarray(labels)
    rng = np.random.default_rng(0)
    fakes = rng.permutation(np.flatnonzero(y == 1))[: len(y) // 2]
    reals = np.flatnonzero(y == 0)
    by_base: dict[str, list[int]] = {}
    for place in reals.tolist():
        by_base.setdefault(bases[place], []).append(place)
    partners = np.array([rng.choice(by_base.get(bases[fake]) or reals) for fake in fakes.tolist()])
    return np.stack([partners, fakes], axis=1).reshape(-1)


# --- measurements ---


def memory_mb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def start(arm: str, folder: Path, cache: Path) -> dict[str, float]:
    """Seconds from opening the manifest to the first batch, and the memory that it took beyond the libraries."""
    import torch

    from dfbench.evaluation.dataset import role_data
    from dfbench.manifest.manifest import open_manifest
    from dfbench.protocols.files import load_protocol

    torch.set_num_threads(1)
    begin, before = time.perf_counter(), memory_mb()
    manifest = open_manifest(folder)
    data = role_data(load_protocol(folder / "loader.toml"), [manifest], "train")
    samples = data.parts[0][1]
    if arm == "before":
        assert len(samples.table) == len(samples)  # all columns were read
    assert len(data.bases()) == len(data.sample_ids) == len(data.targets())
    opened, table = time.perf_counter(), memory_mb()
    images = OldCrops(manifest, samples.rows, cache) if arm == "before" else dataset(manifest, samples)
    rng = np.random.default_rng(1)
    batches = [rng.integers(0, len(images), BATCH).tolist()]
    next(iter(loader(arm, images, batches)))
    return {
        "samples_s": opened - begin, "first_batch_s": time.perf_counter() - opened,
        "samples_mb": table - before, "first_batch_mb": memory_mb() - table,
    }  # fmt: skip


def dataset(manifest: Any, samples: Any, decoded: bool = False) -> Any:
    from dfbench.evaluation.torch_datasets import ConcatenatedImages

    return ConcatenatedImages([manifest.torch_dataset(samples, SIZE, decoded=decoded)])


def loader(arm: str, images: Any, batches: list[list[int]]) -> Any:
    """The loader of each way, without worker processes."""
    import torch
    from torch.utils.data import DataLoader

    from dfbench.evaluation.loader import image_loader

    if arm == "before":
        return DataLoader(images, batch_sampler=batches)
    return image_loader(images, torch.device("cpu"), workers=0, batches=batches)


def rates(folder: Path, cache: Path, count: int, repeats: int) -> dict[str, float]:
    """Images per CPU second of one process, from the file to the input of a detector; medians of turns."""
    import torch

    from dfbench.evaluation.inference import to_input
    from dfbench.manifest.manifest import open_manifest
    from dfbench.media import images as images_module

    def old_input(images: Any) -> Any:
        return (images.float() / 255.0).contiguous(memory_format=torch.channels_last)

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    fast = images_module.fast_png_decoder()
    manifest = open_manifest(folder)
    samples = manifest.samples(folder / "loader.toml", "train")
    some = samples.take(np.arange(0, len(samples), max(1, len(samples) // (4 * count))))
    arms = {
        "before": OldCrops(manifest, some.rows, cache / "rates"),
        "now": dataset(manifest, some),
        "decoded": dataset(manifest, some, decoded=True),
    }
    arms |= {"opencv": arms["now"]} if fast else {}
    order = np.random.default_rng(0).permutation(len(some))[:count]
    batches = [order[i : i + BATCH].tolist() for i in range(0, len(order), BATCH)]
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    for turn in range(repeats + 1):
        for arm, images in arms.items():
            decoder = fast if arm in ("now", "decoded") else None
            with mock.patch.object(images_module, "fast_png_decoder", lambda decoder=decoder: decoder):
                begin = time.process_time()
                for batch, _ in loader(arm, images, batches):
                    old_input(batch) if arm == "before" else to_input(batch, torch.device("cpu"))
            if turn:  # the first one warms up
                found[arm].append(len(order) / (time.process_time() - begin))
    return {arm: statistics.median(values) for arm, values in found.items()}


def orders(rows: int) -> dict[str, float]:
    """CPU seconds that one order ``paired`` takes, and the share of the reals that it leaves out."""
    from dfbench.training.sampler import epoch_order

    clip = np.arange(rows) // FRAMES
    labels, bases = (clip % 5 > 0).astype(int).tolist(), [f"folder/all/real/{n:06d}" for n in (clip // 5).tolist()]
    epoch_order([0, 1], 0, 0, "paired", None, ["a", "a"])  # loads the libraries
    begin = time.process_time()
    order = epoch_order(labels, 0, 0, "paired", None, bases)
    middle = time.process_time()
    old = old_order(labels, bases)
    end = time.process_time()
    reals = rows - sum(labels)
    unseen = {
        f"unseen_{arm}": 1 - len(set(found[::2].tolist())) / reals for arm, found in (("now", order), ("before", old))
    }
    return {"now": middle - begin, "before": end - middle} | unseen


def child(words: Sequence[str], cache: Path) -> dict[str, float]:
    """Run a measurement in a process of its own, with a cache folder of its own."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, *words], env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def size_gb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


def measure(work: Path, rows: int, count: int, repeats: int, order_rows: int) -> dict[str, Any]:
    """All figures."""
    folder = work / "manifest"
    folder.mkdir(parents=True)
    make_manifest(folder, rows)
    figures: dict[str, Any] = {"rows": rows, "manifest_gb": size_gb(folder)}
    for arm in ARMS:
        cache = work / arm
        for turn in ("first", "second"):
            figures[f"{turn}_{arm}"] = child(["--child", "start", arm, str(folder), str(cache)], cache)
        figures[f"copies_gb_{arm}"] = size_gb(cache) if cache.is_dir() else 0.0
        shutil.rmtree(cache, ignore_errors=True)
    cache = work / "rates"
    figures["rates"] = child(["--child", "rates", str(folder), str(cache), str(count), str(repeats)], cache)
    figures["order"] = child(["--child", "order", str(order_rows)], cache)
    return figures


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    order, rate = figures["order"], figures["rates"]
    lines = [
        f"| {figures['rows']:,} crops, {figures['manifest_gb']:.1f} GB | before | now | ratio |",
        "|---|---|---|---|",
        f"| order `paired` of {ORDER_ROWS:,} samples, CPU s | {order['before']:.1f} | {order['now']:.2f} | "
        f"{order['before'] / order['now']:.0f} |",
        f"| reals not seen in an epoch, % | {100 * order['unseen_before']:.1f} | {100 * order['unseen_now']:.1f} | |",
    ]
    for turn in ("first", "second"):
        old, new = figures[f"{turn}_before"], figures[f"{turn}_now"]
        for name, what, digits in NAMES:
            ratio = f"{old[name] / new[name]:.0f}" if new[name] > 0.1 else ""
            lines.append(f"| {turn} start: {what} | {old[name]:.{digits}f} | {new[name]:.{digits}f} | {ratio} |")
    kept = f"{figures['copies_gb_before']:.2f} | {figures['copies_gb_now']:.2f}"
    ratios = {arm: value / rate["before"] for arm, value in rate.items()}
    lines += [
        f"| copies on disk, GB | {kept} | |",
        f"| images per second of one core | {rate['before']:.0f} | {rate['now']:.0f} | {ratios['now']:.2f} |",
        *[f"| the same with OpenCV | | {v:.0f} | {ratios['opencv']:.2f} |" for v in [rate.get("opencv")] if v],
        f"| the same from the decoded store | | {rate['decoded']:.0f} | {ratios['decoded']:.2f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=4000, help="images of one turn of the rate")
    parser.add_argument("--repeats", type=int, default=5, help="turns of the rate")
    parser.add_argument("--work", type=Path, help="folder for the manifest  [default: a temporary one]")
    parser.add_argument("--json", type=Path, help="write the figures")
    parser.add_argument("--page", type=Path, help="write the table as a page")
    parser.add_argument("--quick", action="store_true", help="a smoke test with 2,000 rows")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        kind, *words = given.child
        if kind == "start":
            print(json.dumps(start(words[0], Path(words[1]), Path(words[2]))))
        elif kind == "rates":
            print(json.dumps(rates(Path(words[0]), Path(words[1]), int(words[2]), int(words[3]))))
        else:
            print(json.dumps(orders(int(words[0]))))
        return
    rows, images, repeats = (2000, 200, 1) if given.quick else (given.rows, given.images, given.repeats)
    order_rows = 2000 if given.quick else ORDER_ROWS
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        figures = measure(Path(work), rows, images, repeats, order_rows)
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    if given.page:
        given.page.write_text(INTRODUCTION + table(figures), "utf-8")


if __name__ == "__main__":
    main()
