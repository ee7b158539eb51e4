"""Batch-norm statistics estimated on training data."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training.averaging import estimated_statistics, trained_batch_norms
from dfbench.workflow import train


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.01), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))


BATCHES = list(torch.rand(3, 8, 3, 9, 9, generator=torch.Generator().manual_seed(1)))


def test_statistics_are_those_of_torch_and_are_given_back() -> None:
    ours, theirs = network(), network()
    update_bn(BATCHES, theirs)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    with estimated_statistics(ours, trained_batch_norms(ours), BATCHES):
        assert not ours[1].training, "the layers evaluate with the statistics"
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, msg=name)
    assert ours.training
    assert ours[1].momentum == 0.01
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_frozen_layers_and_dropout() -> None:
    frozen = network()
    frozen[1].eval()
    assert trained_batch_norms(frozen) == ("3",)
    with estimated_statistics(frozen, trained_batch_norms(frozen), BATCHES):
        assert frozen[1].running_mean.abs().sum() == 0
        assert frozen[3].running_mean.abs().sum() > 0
    net = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(1))
    with estimated_statistics(net, trained_batch_norms(net), [torch.tensor([[1.0], [3.0]])]):
        assert float(net[1].running_mean) == 2.0
        assert float(net[1].running_var) == 2.0


def test_statistics_are_given_back_after_a_fault() -> None:
    net = network()
    with pytest.raises(RuntimeError), estimated_statistics(net, trained_batch_norms(net), [torch.rand(2, 4, 9, 9)]):
        pass
    assert (net[1].momentum, net[1].num_batches_tracked.item(), net.training) == (0.01, 0, True)


@pytest.mark.slow
def test_the_weights_are_stored_with_them(tiny: SimpleNamespace, tmp_path: Path) -> None:
    def stored(name: str, samples: int | None) -> tuple[dict[str, torch.Tensor], int]:
        out = tmp_path / name / "w.safetensors"
        common = {"device": "cpu", "quiet": True, "epochs": 1, "batch_norm_samples": samples}
        train("meso4", tiny.protocol, tiny.manifest, out, **common)
        return read_state(out), read_card(out).recipe["batch_norm_samples"]

    (default, used), (running, none), (few, half) = stored("a", None), stored("b", 0), stored("c", 16)
    assert (used, none, half) == (32, 0, 16), "at most the samples of an epoch"
    for name, tensor in default.items():
        kind = name.rpartition(".")[2]
        if kind == "running_var":
            # Momentum 0.01 and four steps leave the initial variance of 1.
            assert float((running[name] - 1).abs().max()) < 0.05, name
            assert float((tensor - 1).abs().max()) > 0.2, name
            assert not torch.equal(tensor, few[name])
        elif kind not in ("running_mean", "num_batches_tracked"):
            assert torch.equal(tensor, running[name]), "the training is the same"
