"""Forgery attention maps against finite differences, and what a map pass leaves as it was."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.explain import fake_minus_real, forgery_attention_map


class Smooth(nn.Module):
    """A small network without kinks; the mean over the batch would couple images in training mode."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers = (nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 5, 3), nn.Softplus())
        self.body = nn.Sequential(*layers, nn.Dropout(0.5))
        self.head = nn.Linear(5, classes)

    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.body(images).mean((2, 3))))


def smooth(classes: int) -> Smooth:
    torch.manual_seed(classes)
    network = Smooth(classes).double()
    with torch.no_grad():
        network.body[1].running_mean.uniform_(-1, 1)
        network.body[1].running_var.uniform_(0.5, 2)
        network.head.weight.mul_(20)
    return network


def score(logits: np.ndarray, reals: tuple[int, ...]) -> np.ndarray:
    if logits.shape[1] == 1:
        return logits[:, 0]
    fakes = [c for c in range(logits.shape[1]) if c not in reals]
    return logsumexp(logits[:, fakes], axis=1) - logsumexp(logits[:, list(reals)], axis=1)


@pytest.mark.parametrize(("classes", "reals"), [(1, (0,)), (2, (0,)), (2, (1,)), (5, (0, 3))])
def test_equals_finite_differences(classes: int, reals: tuple[int, ...]) -> None:
    network, size, step = smooth(classes), 6, 1e-4
    images = torch.rand(2, 3, size, size, dtype=torch.float64)
    found = forgery_attention_map(network, images, reals)
    moves = step * torch.eye(3 * size * size, dtype=torch.float64).view(-1, 3, size, size)
    network.eval()
    with torch.no_grad():
        for image, fam in zip(images, found, strict=True):
            up, down = (score(network(image + sign * moves).logits.numpy(), reals) for sign in (1, -1))
            slopes = np.abs((up - down) / (2 * step)).reshape(3, size, size).max(0)
            assert np.allclose(fam.numpy(), slopes, rtol=1e-3, atol=1e-3 * slopes.max())
            assert slopes.min() > 0


def test_a_map_pass_changes_nothing_and_sees_images_alone() -> None:
    network = smooth(2).train()
    network.body[3].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.rand(3, 3, 8, 8, dtype=torch.float64)
    together = forgery_attention_map(network, images)
    alone = torch.cat([forgery_attention_map(network, image[None]) for image in images])
    torch.testing.assert_close(together, alone)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not images.requires_grad
    assert [module.training for module in (network, network.body[1], network.body[3])] == [True, True, False]


def test_modes_come_back_after_an_error() -> None:
    network = smooth(1).train()
    with pytest.raises(RuntimeError, match="channels"):
        forgery_attention_map(network, torch.rand(1, 4, 8, 8, dtype=torch.float64))
    assert network.body[1].training


def test_frozen_and_in_place_networks_have_maps() -> None:
    network = smooth(2).requires_grad_(False)
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    expected = forgery_attention_map(network, images)

    def in_place(inputs: Tensor) -> SimpleNamespace:
        return network(inputs.mul_(2.0).div_(2.0))

    wrapped = nn.ModuleList([network])
    wrapped.forward = in_place
    torch.testing.assert_close(forgery_attention_map(wrapped, images), expected)


class Detached(Smooth):
    def forward(self, images: Tensor) -> SimpleNamespace:
        return super().forward(images.detach())


@pytest.mark.parametrize("frozen", [True, False])
def test_no_gradient_is_an_error_with_a_hint(frozen: bool) -> None:
    network = Detached(2).requires_grad_(not frozen)
    with pytest.raises(ModelError, match="no gradient") as caught:
        forgery_attention_map(network, torch.rand(1, 3, 8, 8))
    assert "differentiable" in caught.value.hint


@pytest.mark.parametrize("reals", [(), (0, 1, 2)])
def test_real_and_fake_classes_are_needed(reals: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="of 3 classes"):
        fake_minus_real(torch.zeros(1, 3), reals)


class Flat(nn.Module):
    """Its gradients are too small for float16, about 1e-9."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)
        with torch.no_grad():
            for parameter in (self.layer.weight, self.head.weight):
                parameter.copy_(torch.arange(1.0, parameter.numel() + 1).view_as(parameter) % 5 * 1e-3)

    def forward(self, images: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.layer(images).mean((2, 3))))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype: torch.dtype) -> None:
    network, images = Flat(), torch.rand(1, 3, 16, 16)
    exact = forgery_attention_map(network, images)
    with torch.autocast("cpu", dtype):
        rough = forgery_attention_map(network, images)
    assert rough.dtype == torch.float32
    assert float(exact.max()) < 6e-8, "less than the smallest number of float16"
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05 * float(exact.max()))
