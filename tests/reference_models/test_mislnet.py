"""MISLnet: shapes row by row, its inputs, and the constraint while it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reference_models.extractors import constrain
from reference_models.mislnet.network import MISLnet, last_map


def random_images(count: int = 2, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("size", "sides", "flat"),
    [
        (256, (252, 126, 63, 63, 31, 31, 15, 15, 7), 6272),
        (224, (220, 110, 55, 55, 27, 27, 13, 13, 6), 4608),
        (128, (124, 62, 31, 31, 15, 15, 7, 7, 3), 1152),
    ],
)
def test_shapes_row_by_row(size: int, sides: tuple[int, ...], flat: int) -> None:
    model = MISLnet(2, size).eval()
    found: list[int] = []
    for layer in (model.constrained, *model.features):
        if not isinstance(layer, nn.BatchNorm2d | nn.Tanh):
            layer.register_forward_hook(lambda _, __, output: found.append(output.shape[-1]))
    with torch.inference_mode():
        model(random_images(1, size))
    assert tuple(found) == sides
    dense = [(m.in_features, m.out_features) for m in model.classifier if isinstance(m, nn.Linear)]
    assert dense == [(flat, 200), (200, 200), (200, 2)]


def test_the_last_map_is_the_one_the_layers_give() -> None:
    for size in range(48, 100, 3):
        with torch.inference_mode():
            assert MISLnet(2, size).eval()(random_images(1, size)).logits.shape == (1, 2)
        assert last_map(size) >= 1


def test_layers_are_as_published() -> None:
    model = MISLnet(6, 256, planes="green")
    assert sum(p.numel() for p in model.parameters()) == 1_575_444
    assert sum(p.numel() for p in model.parameters() if not p.requires_grad) == 3
    kinds = [type(layer).__name__ for layer in model.features]
    assert kinds == ["Conv2d", "BatchNorm2d", "Tanh", "MaxPool2d"] * 3 + ["Conv2d", "BatchNorm2d", "Tanh", "AvgPool2d"]
    assert all(bool((layer.bias == 0.1).all()) for layer in model.features if isinstance(layer, nn.Conv2d))
    dense = [layer for layer in model.classifier if isinstance(layer, nn.Linear)]
    assert [float(layer.bias.detach().mean()) for layer in dense] == [1.0, 1.0, 0.0]


def test_the_green_plane_alone_from_0_to_255() -> None:
    model = MISLnet(2, 64, planes="green").eval()
    images = random_images()
    other = images.clone()
    other[:, [0, 2]] = 0
    with torch.inference_mode():
        assert torch.equal(model(images).logits, model(other).logits)
        seen = model.constrained(images[:, 1:2] * 255.0)
        assert torch.equal(model.classifier(model.features(seen)), model(images).logits)


def test_flat_images_leave_no_residual() -> None:
    model = MISLnet(2, 64).eval()
    with torch.inference_mode():
        assert float(model.constrained(torch.full((1, 3, 64, 64), 255.0)).abs().max()) < 1e-2


def test_the_constraint_holds_while_it_learns() -> None:
    torch.manual_seed(0)
    model = MISLnet(2, 64)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.95)
    first = model.constrained.weight.detach().clone()
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(model(random_images(4)).logits, torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()
        stored = model.state_dict()["constrained.weight"]
        assert torch.equal(constrain(stored), stored)
    assert float((model.constrained.weight.detach() - first).abs().max()) > 0
    assert model.constrained.bias is not None
    assert float(model.constrained.bias.abs().max()) == 0
