"""Training methods that supply images: the sampling ``reals``, further images, rows that cannot be used, counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfbench.errors import DataError
from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training import (
    Batch,
    EpochDataset,
    ImagesRequest,
    LoadedImages,
    MethodImages,
    StepResult,
    TrainingMethod,
    read_crops,
    supervised_step,
)
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.sampler import epoch_order
from dfbench.workflow import resolve_training, train

AUGMENTED = (
    '\n[training.augmentation]\nflip = 0.5\nrotation = 20\nhue = 0.1\ndegradations = ["JP60"]\ndegradations_p = 0.5\n'
)


class Images(EpochDataset):
    """Crops, with an inverted copy of each as its fake if ``pairs``, and the crops and row numbers beside them."""

    def __init__(self, request: ImagesRequest, pairs: bool) -> None:
        super().__init__(len(request.data.sample_ids))
        self.crops, self.stored, self.pairs = request.crops, request.data.images, pairs

    def __getitems__(self, items: Sequence[int]) -> LoadedImages:
        rows, epochs = zip(*map(self.row_and_epoch, items), strict=True)
        crops = torch.cat([read_crops(self.crops, [row], epoch) for row, epoch in zip(rows, epochs, strict=True)])
        stored = read_crops(self.stored, rows, 0)
        numbers = torch.tensor(rows, dtype=torch.float32)
        if not self.pairs:
            return LoadedImages(crops, list(rows), None, {"stored": stored, "crops": crops, "row": numbers})
        targets = torch.tensor([0] * len(rows) + [1] * len(rows))
        return LoadedImages(torch.cat((crops, 255 - crops)), [*rows, *rows], targets)


@dataclass
class Seen:
    """The batches of a training."""

    images: list[Tensor] = field(default_factory=list)
    targets: list[list[int]] = field(default_factory=list)
    ids: list[tuple[str, ...]] = field(default_factory=list)
    others: list[dict[str, Tensor]] = field(default_factory=list)

    def step(self, detector: nn.Module, batch: Batch) -> StepResult:
        self.images.append(batch.images)
        self.targets.append(batch.targets.tolist())
        self.ids.append(batch.sample_ids)
        self.others.append(dict(batch.others))
        return supervised_step(detector, batch)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Seen]:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})

    def add(**given: Any) -> Seen:
        seen = Seen()
        TRAINING_METHODS.register("own", TrainingMethod("own", "of a test", seen.step, **given))
        return seen

    return add


def run(tiny: SimpleNamespace, out: Path, text: str = "", **given: Any) -> Path:
    protocol = out.with_suffix(".toml")
    protocol.write_text(tiny.protocol.read_text("utf-8") + text, "utf-8")
    common: dict[str, Any] = {"device": "cpu", "quiet": True, "epochs": 1, "method": "own"} | given
    return train("meso4", protocol, tiny.manifest, out, **common)


def test_each_real_gives_a_pair(tiny: SimpleNamespace, tmp_path: Path, register: Callable[..., Seen]) -> None:
    seen = register(
        sampling="reals", augments=True, images=lambda r: MethodImages(Images(r, pairs=True), None, {"x": 3})
    )
    weights = run(tiny, tmp_path / "w.safetensors", AUGMENTED)
    reals: list[str] = []
    for images, targets, ids in zip(seen.images, seen.targets, seen.ids, strict=True):
        half = len(ids) // 2
        assert targets == [0] * half + [1] * half
        assert ids[:half] == ids[half:]
        assert torch.allclose(images[:half] + images[half:], torch.ones(())), "neither flipped nor degraded"
        reals += ids[:half]
    assert len(reals) == len(set(reals)) == 16, "every real of the training split once"
    assert not any("fake" in name for name in reals)
    card = read_card(weights)
    assert card.recipe["sampling"] == "reals"
    assert card.recipe["augmentation"]["flip"] == 0.0
    assert card.recipe["method_counts"] == {"x": 3}
    assert card.overrides == {"epochs": 1}
    again = read_state(run(tiny, tmp_path / "again.safetensors", AUGMENTED, workers=2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in read_state(weights).items())


def test_further_images_are_augmented_alike_and_not_degraded(
    tiny: SimpleNamespace, tmp_path: Path, register: Callable[..., Seen]
) -> None:
    seen = register(images=lambda request: MethodImages(Images(request, pairs=False)))
    run(tiny, tmp_path / "w.safetensors", AUGMENTED, epochs=2)
    degraded = 0
    for images, others in zip(seen.images, seen.others, strict=True):
        assert torch.equal(images, others["crops"])
        degraded += sum(not torch.equal(a, b) for a, b in zip(images, others["stored"], strict=True))
    numbers = torch.cat([others["row"] for others in seen.others])
    assert 0 < degraded < len(numbers)
    assert sorted(numbers.tolist()[: len(numbers) // 2]) == list(range(len(numbers) // 2))
    assert not read_card(tmp_path / "w.safetensors").recipe.get("method_counts")


def test_rows_that_cannot_be_used_are_left_out(
    tiny: SimpleNamespace, tmp_path: Path, register: Callable[..., Seen]
) -> None:
    rows = np.array([1, 5, 6, 20, 21, 30])
    seen = register(images=lambda request: MethodImages(Images(request, pairs=False), rows))
    run(tiny, tmp_path / "w.safetensors", epochs=3)
    assert sorted(set(torch.cat([others["row"] for others in seen.others]).tolist())) == rows.tolist()


def test_faults_are_told_before_the_first_epoch(
    tiny: SimpleNamespace, tmp_path: Path, register: Callable[..., Seen]
) -> None:
    def refuse(request: ImagesRequest) -> MethodImages:
        raise DataError(f"{len(request.data.sample_ids)} samples have no patch", "prepare with --patch")

    seen = register(images=refuse, sampling="reals")
    with pytest.raises(DataError, match="32 samples have no patch"):
        run(tiny, tmp_path / "w.safetensors")
    assert not seen.images
    flow = resolve_training("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method="own")
    assert any("makes its fakes from real samples" in note for note in flow.notes)


def test_order_of_reals() -> None:
    labels = [0, 1, 1, 0, 1, 0]
    orders = [epoch_order(labels, epoch, 3, "reals", 4).tolist() for epoch in range(3)]
    assert [len(order) for order in orders] == [2, 2, 2]
    assert sorted(orders[0] + orders[1][:1]) == [0, 3, 5], "shuffled rounds continue over epochs"
    assert sorted(epoch_order(labels, 0, 3, "reals").tolist()) == [0, 3, 5]
    with pytest.raises(DataError, match="no real training samples"):
        epoch_order([1, 1], 0, 3, "reals")
