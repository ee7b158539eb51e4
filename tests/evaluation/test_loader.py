"""The loader: batches do not depend on workers or memory layout; the number of workers is chosen by the device."""

from __future__ import annotations

from pathlib import Path

import joblib
import pytest
import torch
from loading import load_file
from torch import Tensor
from torch.utils.data import Dataset, Subset

from dfbench.evaluation.inference import to_input
from dfbench.evaluation.loader import ImageBatch, collate, image_loader, worker_count
from dfbench.evaluation.torch_datasets import ConcatenatedImages, CropsInMemory
from dfbench.manifest.manifest import Manifest, open_manifest

CPU = torch.device("cpu")


class Numbers(Dataset[tuple[Tensor, int]]):
    """Images that tell their row, in either memory layout."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.arange(3 * 8 * 8).view(3, 8, 8).add(index).to(torch.uint8)
        return image if index % 2 else image.permute(1, 2, 0).contiguous().permute(2, 0, 1), index


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    gpu = torch.device("cuda", 0)
    assert [worker_count(None, CPU), worker_count(3, CPU), worker_count(0, gpu)] == [0, 3, 0]
    assert [worker_count(None, gpu, devices) for devices in (1, 4, 16)] == [15, 3, 1]
    monkeypatch.setattr(joblib, "cpu_count", lambda: 96)
    assert worker_count(None, gpu) == 16


def test_a_batch_has_the_layout_of_the_input() -> None:
    items = [Numbers()[index] for index in (4, 1, 7)]
    images, rows = collate(items)
    assert rows == [4, 1, 7]
    assert torch.equal(images, torch.stack([image for image, _ in items]))
    assert images.is_contiguous(memory_format=torch.channels_last)
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    for batch in (every.contiguous(), every.contiguous(memory_format=torch.channels_last)):
        found = to_input(batch, CPU)
        assert torch.equal(found, batch.float() / 255.0), "bit for bit"
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert int(batch.max()) == 255, "the images given are not changed"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_may_change_while_workers_live_on(workers: int) -> None:
    batches = [[0, 3], [5]]
    loader = image_loader(Numbers(), CPU, workers=workers, batches=batches, seed=1)
    assert [rows for _, rows in loader] == [[0, 3], [5]]
    batches[:] = [[9], [8, 7], [0, 1]]
    assert [rows for _, rows in loader] == [[9], [8, 7], [0, 1]]
    assert image_loader(Numbers(), CPU, workers=2, batch_size=10).num_workers == 1, "no more workers than batches"


def write_crops(folder: Path, count: int, size: int) -> Manifest:
    benchmark = load_file("benchmarks/loader.py", "loader_crops")
    benchmark.SIZE = size
    benchmark.PROTOCOL = benchmark.PROTOCOL.replace("size = 128", f"size = {size}")
    folder.mkdir()
    benchmark.make_manifest(folder, count)
    return open_manifest(folder)


@pytest.mark.parametrize("decoded", [False, True])
def test_a_batch_is_decoded_into_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: bool) -> None:
    monkeypatch.setattr("dfbench.manifest.crop_cache.cache_home", lambda: tmp_path / "cache")
    manifests = [write_crops(tmp_path / name, count, 32) for name, count in (("a", 5), ("b", 70))]
    parts = [m.torch_dataset(m.samples(m.path / "loader.toml", "train"), 32, decoded=decoded) for m in manifests]
    images = ConcatenatedImages(parts)
    for wanted in ([74, 0, 4, 5, 5], [3]):
        batch = images.__getitems__(wanted)
        assert isinstance(batch, ImageBatch)
        assert torch.equal(batch.images, torch.stack([images[index][0] for index in wanted]))
        assert batch.rows == wanted
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert collate(batch) is not batch
        assert collate(batch)[0] is batch.images
    held = CropsInMemory(images, 32)
    for dataset in (images, held, Subset(held, range(len(images))), Subset(images, range(len(images)))):
        loader = image_loader(dataset, CPU, workers=0, batch_size=32)
        found = list(loader)
        assert [row for _, rows in found for row in rows] == list(range(75))
        assert torch.equal(torch.cat([part for part, _ in found]), held.crops.permute(0, 3, 1, 2))


def test_parts_of_other_kinds_are_joined_by_the_loader() -> None:
    images = ConcatenatedImages([Numbers(), Numbers()])
    assert not images.joined
    ((batch, rows),) = list(image_loader(images, CPU, workers=0, batches=[[1, 12]]))
    assert rows == [1, 12]
    assert torch.equal(batch, torch.stack([Numbers()[1][0], Numbers()[2][0]]))


def test_a_crop_of_the_decoded_store_may_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfbench.manifest.crop_cache.cache_home", lambda: tmp_path / "cache")
    manifest = write_crops(tmp_path / "a", 3, 32)
    crops = manifest.torch_dataset(manifest.samples(manifest.path / "loader.toml", "train"), 32, decoded=True)
    before = crops[1][0].clone()
    crops[1][0].zero_()
    assert torch.equal(crops[1][0], before)
    assert int(before.max()) > 0
