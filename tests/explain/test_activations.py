"""Class activation maps of heads on the mean of a map, and detectors that have none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from dfbench.errors import ModelError
from dfbench.explain import FinalFeatures
from dfbench.models.build import build_model


class Pooled(nn.Module):
    def __init__(self, classes: int, around: bool = False, dense: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.side = nn.Linear(3, 4) if around else None
        self.dense = dense
        self.head = nn.Linear(4 * 64 if dense else 4, classes)

    def forward(self, images: Tensor) -> SimpleNamespace:
        maps = self.body(images)
        vector = maps.flatten(1) if self.dense else maps.mean((2, 3))
        if self.side is not None:
            vector = vector + self.side(images.mean((2, 3)))
        return SimpleNamespace(logits=self.head(vector))


@pytest.mark.parametrize(("classes", "reals"), [(1, (0,)), (2, (0,)), (4, (0, 2))])
def test_equals_the_weights_applied_to_every_position(classes: int, reals: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    network, images = Pooled(classes).train(), torch.rand(2, 3, 16, 16)
    found = FinalFeatures.find(network, 16)
    fake, real = found.maps(network, images, reals)
    assert network.body[1].training
    network.eval()
    with torch.no_grad():
        maps, logits, weights = network.body(images), network(images).logits, network.head.weight
    per_class = torch.einsum("kc,nchw->nkhw", weights, maps)
    if classes == 1:
        expected = per_class[:, 0], -per_class[:, 0]
    else:
        groups = [[c for c in range(classes) if (c in reals) == is_real] for is_real in (False, True)]
        shares = [logits[:, group].softmax(1)[:, :, None, None] for group in groups]
        expected = tuple((per_class[:, group] * share).sum(1) for group, share in zip(groups, shares, strict=True))
    torch.testing.assert_close(fake, expected[0])
    torch.testing.assert_close(real, expected[1])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_random_state_is_left_as_it_was() -> None:
    network = Pooled(2)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    FinalFeatures.find(network, 16)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("network", [Pooled(2, around=True), Pooled(2, dense=True), nn.Sequential(nn.Flatten())])
def test_other_heads_have_none(network: nn.Module) -> None:
    if isinstance(network, nn.Sequential):
        network.forward = lambda images: SimpleNamespace(logits=images.mean((2, 3)))
    with pytest.raises(ModelError, match="no final feature map") as caught:
        FinalFeatures.find(network, 16)
    assert "xception" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "channels"), [("resnet18", 512), ("xception", 2048), ("efficientnet-b4", 1792), ("meso4", 0), ("grnet", 0)]
)
def test_registered_detectors(name: str, channels: int) -> None:
    torch.manual_seed(0)
    network = build_model(name, 2, 64)
    if not channels:
        with pytest.raises(ModelError, match="no final feature map"):
            FinalFeatures.find(network, 64)
        return
    found = FinalFeatures.find(network, 64)
    fake, real = found.maps(network, torch.rand(1, 3, 64, 64))
    assert fake.shape == real.shape == (1, 2, 2)
    assert not torch.equal(fake, real)
