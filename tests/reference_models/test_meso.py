"""Meso-4: Keras's habits and the published loss."""

from __future__ import annotations

import torch

from dfbench.models.build import build_model
from dfbench.models.interface import loss_of


def test_order_and_constants_are_those_of_keras() -> None:
    model = build_model("meso4", 2, 256)
    order = [type(m).__name__ for m in model.features][:4]
    assert order == ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]
    norm = model.features[2]
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    first = model.features[0]
    assert float(first.bias.detach().abs().max()) == 0
    limit = (6 / (3 * 9 + 8 * 9)) ** 0.5
    assert 0.8 * limit < float(first.weight.detach().abs().max()) <= limit


def test_published_loss_is_a_squared_error() -> None:
    torch.manual_seed(0)
    model = build_model("meso4", 1, 64).eval()
    output = model(torch.rand(2, 3, 64, 64))
    expected = ((torch.sigmoid(output.logits[:, 0]) - torch.tensor([0.0, 1.0])) ** 2).mean()
    torch.testing.assert_close(loss_of(model, output, torch.tensor([0, 1])), expected)
