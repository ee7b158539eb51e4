"""The loader: batches do not depend on workers or memory layout; the number of workers is chosen by the device."""

from __future__ import annotations

import joblib
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dfbench.evaluation.inference import to_input
from dfbench.evaluation.loader import collate, image_loader, worker_count

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
