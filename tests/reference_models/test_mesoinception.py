"""MesoInception-4: its blocks, Keras's habits, the published loss."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dfbench.models.interface import loss_of
from reference_models.mesoinception.network import Inception, MesoInception4


def test_shapes_row_by_row() -> None:
    model = MesoInception4(1, 256).eval()
    found: list[tuple[int, ...]] = []
    for layer in model.features:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, output: found.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 256, 256)).logits.shape == (1, 1)
    assert found == [(11, 128, 128), (12, 64, 64), (16, 32, 32), (16, 8, 8)]


def test_order_is_relu_then_norm_then_pooling() -> None:
    kinds = [type(layer).__name__ for layer in MesoInception4(1, 64).features]
    assert kinds == ["Inception", "BatchNorm2d", "MaxPool2d"] * 2 + ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"] * 2
    norms = [layer for layer in MesoInception4(1, 64).features if isinstance(layer, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_branches_reach_as_far_as_their_dilation() -> None:
    block = Inception(3, (1, 4, 4, 2))
    with torch.no_grad():
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1.0)
                nn.init.zeros_(module.bias)
    impulse = torch.zeros(1, 3, 15, 15)
    impulse[0, :, 7, 7] = 1.0
    response = block(impulse)[0]
    assert response.shape == (11, 15, 15)
    for planes, dilation in ((slice(1, 5), 1), (slice(5, 9), 2), (slice(9, 11), 3)):
        places = {tuple(place) for place in (response[planes][0] > 0).nonzero().tolist()}
        assert places == {(7 + dy * dilation, 7 + dx * dilation) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    assert (response[0] > 0).nonzero().tolist() == [[7, 7]]


def test_every_convolution_of_a_block_is_followed_by_a_relu() -> None:
    torch.manual_seed(0)
    block = Inception(3, (1, 4, 4, 2))
    images = torch.randn(2, 3, 9, 9)
    expected = []
    for dilation, branch in enumerate(block.branches):
        x = F.relu(F.conv2d(images, branch[0].weight, branch[0].bias))
        if dilation:
            x = F.relu(F.conv2d(x, branch[2].weight, branch[2].bias, padding=dilation, dilation=dilation))
        expected.append(x)
    torch.testing.assert_close(block(images), torch.cat(expected, dim=1))


def test_weights_start_like_those_of_keras() -> None:
    model = MesoInception4(1, 64)
    first = model.features[6]
    limit = (6 / (12 * 25 + 16 * 25)) ** 0.5
    assert 0.9 * limit < float(first.weight.detach().abs().max()) <= limit
    assert float(first.bias.detach().abs().max()) == 0


def test_published_loss_is_a_squared_error() -> None:
    model = MesoInception4(1, 64).eval()
    output = model(torch.rand(2, 3, 64, 64))
    expected = ((torch.sigmoid(output.logits[:, 0]) - torch.tensor([0.0, 1.0])) ** 2).mean()
    torch.testing.assert_close(loss_of(model, output, torch.tensor([0, 1])), expected)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(loss_of(model, output, torch.tensor([1, 0])), expected)
