"""Further heads of a detector: their validation metrics, in one pass, beside the one that selects."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from dfbench.evaluation.inference import NotFiniteError, score_heads, score_images
from dfbench.models.card import read_card
from dfbench.models.interface import head_logits
from dfbench.training.module import TrainingModule
from dfbench.training.store import EpochRecord, TrainingFolder, TrainingState
from dfbench.workflow import train

CODE = """
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Output:
    logits: torch.Tensor
    bright_logits: torch.Tensor
    flat_logits: torch.Tensor
    other_logits: torch.Tensor | None
    map_logits: torch.Tensor


class Net(nn.Module):
    # The main head learns; a head that is never right and one that is the same for every image do not.
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, 2))

    def forward(self, images):
        logits = self.main(images)
        return Output(logits, -logits, torch.zeros_like(logits), None, images)

    def loss(self, output, targets):
        return F.cross_entropy(output.logits, targets)
"""


@dataclass(frozen=True)
class Two:
    """Two heads and what looks like heads."""

    logits: Tensor
    side_logits: Tensor
    none_logits: None
    wide_logits: Tensor


class TwoHeads(nn.Module):
    """Means of two colours, and the number of calls."""

    def __init__(self, side: float = 1.0) -> None:
        super().__init__()
        self.side, self.calls = side, 0

    def forward(self, images: Tensor) -> Two:
        self.calls += 1
        means = images.mean(dim=(2, 3))
        return Two(means[:, :2], self.side * means[:, 1:], None, means)


def images(count: int = 10) -> TensorDataset:
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return TensorDataset(pixels, torch.arange(count))


def test_heads_are_fields_of_a_dataclass_with_the_shape_of_the_logits() -> None:
    output = TwoHeads()(torch.rand(4, 3, 8, 8))
    assert list(head_logits(output, output.logits)) == ["side"]
    assert head_logits(SimpleNamespace(logits=output.logits, side_logits=output.logits), output.logits) == {}


def test_all_heads_are_scored_in_one_pass() -> None:
    network, data = TwoHeads(), images()
    main, heads = score_heads(network, data, torch.device("cpu"), batch_size=4)
    assert network.calls == 3
    assert np.array_equal(main, score_images(network, data, torch.device("cpu"), batch_size=4))
    expected = data.tensors[0].float().div(255).mean(dim=(2, 3))
    assert list(heads) == ["side"]
    np.testing.assert_allclose(heads["side"], expected[:, 1:].numpy(), atol=1e-6)
    assert main.flags.c_contiguous
    with pytest.raises(NotFiniteError):
        score_heads(TwoHeads(float("nan")), data, torch.device("cpu"))


def test_curve_loggers_and_figure_have_every_head_and_the_main_one_selects(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, step = tmp_path / "net.py", TrainingModule.training_step
    file.write_text(CODE, "utf-8")

    def interrupt(self: TrainingModule, batch: Any, number: int) -> Any:
        if self.epoch == 1 and number == 1 and "stop" in stops:
            stops.clear()
            raise KeyboardInterrupt
        return step(self, batch, number)

    stops = {"stop"}
    monkeypatch.setattr(TrainingModule, "training_step", interrupt)
    out = tmp_path / "w.safetensors"
    common: dict[str, Any] = {"epochs": 2, "device": "cpu", "quiet": True, "loggers": "csv"}
    with pytest.raises(KeyboardInterrupt):
        train(f"{file}:Net", tiny.protocol, tiny.manifest, out, **common)
    train(f"{file}:Net", tiny.protocol, tiny.manifest, out, **common)
    assert not stops
    with (tmp_path / "w.curve.csv").open(newline="") as lines:
        curve = list(csv.DictReader(lines))
    assert list(curve[0])[-3:] == ["seconds", "val_bright", "val_flat"]
    for row in curve:  # the first epoch comes from the stored state
        assert float(row["val_bright"]) == pytest.approx(1 - float(row["value"]))
        assert float(row["val_flat"]) == 0.5
    selection = read_card(out).selection
    assert selection.value == max(float(row["value"]) for row in curve)
    with (tmp_path / "w.logs" / "csv" / "version_0" / "metrics.csv").open(newline="") as lines:
        logged = [row for row in csv.DictReader(lines) if row["epoch"]]
    assert [row["val_bright/auc.video.mean"] for row in logged] == [curve[0]["val_bright"]]
    svg = (tmp_path / "w.curve.svg").read_text("utf-8")
    assert all(f">{name}<" in svg for name in ("main head", "bright", "flat"))


def test_a_stored_state_without_heads_is_read(tmp_path: Path) -> None:
    network, identity = nn.Linear(2, 2), {"recipe": {"epochs": 2}}
    folder = TrainingFolder(tmp_path, identity)
    folder.save_best(network)
    folder.save(TrainingState([EpochRecord(1, 0.1, 0.7, "auc.video.mean", 0.8, 1.0, {"rgb": 0.6})], 0), network, {})
    (record,) = folder.load(network).state.curve
    assert record.heads == {"rgb": 0.6}
    stored = torch.load(folder.state_file, weights_only=True)
    stored["progress"] = stored["progress"].replace(', "heads": {"rgb": 0.6}', "")
    torch.save(stored, folder.state_file)
    (record,) = folder.load(network).state.curve
    assert (record.value, record.heads) == (0.8, {})
