"""Capsule-Forensics v2: squash, routing against plain loops, scores, losses, frozen features, published names."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dfbench.errors import ModelError
from dfbench.models.interface import fake_probability
from reference_models.capsule.network import CapsuleNet, Statistics, vgg19_features
from reference_models.capsule.routing import Routing, squash


def random_images(count: int = 3, size: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(2))


def seeded(classes: int = 2, **options: object) -> CapsuleNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CapsuleNet(classes, **options)  # type: ignore[arg-type]


def test_squash_of_zeros_is_zero_with_a_finite_gradient() -> None:
    vectors = torch.zeros(2, 8, 10, requires_grad=True)
    result = squash(vectors, dim=-1)
    result.sum().backward()
    assert bool((result == 0).all())
    assert vectors.grad is not None
    assert bool(torch.isfinite(vectors.grad).all())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6))
def test_squash_keeps_the_direction_and_bounds_the_length(values: list[float]) -> None:
    vector = torch.tensor(values, dtype=torch.float64)
    result = squash(vector[None], dim=1)[0]
    square = sum(v * v for v in values)
    assert float(result.norm()) == pytest.approx(square / (1 + square), abs=1e-6)
    assert float(result @ vector) == pytest.approx(float(result.norm() * vector.norm()), rel=1e-9, abs=1e-12)


def test_routing_against_plain_loops() -> None:
    torch.manual_seed(1)
    routing = Routing(10, 8, 3, noise=0.01, dropout=0.05).double().eval()
    primary = torch.randn(2, 8, 10, dtype=torch.float64)
    result = routing(primary)
    assert result.shape == (2, 4, 3)
    weights = routing.route_weights.detach()
    for n in range(2):
        for c in range(3):
            priors = [weights[c, i] @ primary[n, :, i] for i in range(10)]
            agreement = [torch.zeros(4, dtype=torch.float64) for _ in range(10)]
            vector = torch.zeros(4, dtype=torch.float64)
            for _ in range(2):
                total = sum(torch.exp(a) for a in agreement)
                vector = sum(torch.exp(a) / total * p for a, p in zip(agreement, priors, strict=True))  # type: ignore[assignment]
                square = float(vector @ vector)
                vector = vector * square / (1 + square) / math.sqrt(square)
                agreement = [a + p * vector for a, p in zip(agreement, priors, strict=True)]
            torch.testing.assert_close(result[n, :, c], vector)


def test_noise_and_dropout_while_learning_alone() -> None:
    torch.manual_seed(0)
    primary = torch.randn(4, 8, 10)
    routing = Routing(10, 8, 2, noise=0.01, dropout=0.05)
    assert torch.equal(routing.eval()(primary), routing(primary))
    assert not torch.equal(routing.train()(primary), routing(primary))
    quiet = Routing(10, 8, 2, noise=0.0, dropout=0.0)
    assert torch.equal(quiet.train()(primary), quiet.eval()(primary))


def test_dropped_predictions_are_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def keep_all(chances: torch.Tensor) -> torch.Tensor:
        asked.append(float(chances.mean()))
        return torch.ones_like(chances)

    monkeypatch.setattr(torch, "bernoulli", keep_all)
    routing = Routing(10, 8, 2, noise=0.0, dropout=0.05)
    primary = torch.randn(4, 8, 10)
    torch.testing.assert_close(routing.train()(primary), routing.eval()(primary))
    assert asked == [pytest.approx(0.95)]


def test_statistics_are_mean_and_unbiased_deviation() -> None:
    maps = random_images(2, 5).double()
    result = Statistics()(maps)
    assert result.shape == (2, 2, 3)
    torch.testing.assert_close(result[:, 0], maps.mean(dim=(2, 3)))
    expected = ((maps - maps.mean(dim=(2, 3), keepdim=True)) ** 2).sum(dim=(2, 3)).div(24).sqrt()
    torch.testing.assert_close(result[:, 1], expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_the_mean_of_the_softmax_over_four_numbers(classes: int) -> None:
    model = seeded(classes).eval()
    with torch.inference_mode():
        output = model(random_images())
    expected = torch.softmax(output.vectors, dim=2).mean(dim=1)
    torch.testing.assert_close(output.logits.exp(), expected)
    torch.testing.assert_close(torch.softmax(output.logits, dim=1), expected)
    if classes == 2:
        torch.testing.assert_close(fake_probability(output.logits), expected[:, 1].double(), atol=1e-6, rtol=0)


def test_losses() -> None:
    targets = torch.tensor([0, 1, 1])
    for loss_on in ("vectors", "scores"):
        model = seeded(loss_on=loss_on).eval()
        output = model(random_images())
        values = output.vectors if loss_on == "vectors" else output.vectors.softmax(dim=2)
        expected = sum(F.cross_entropy(values[:, k], targets) for k in range(4))
        torch.testing.assert_close(model.loss(output, targets), expected)


def test_the_vgg_part_is_frozen_and_stays_in_evaluation_mode() -> None:
    model = seeded()
    before = [p.clone() for p in model.vgg.parameters()]
    assert sum(p.numel() for p in before) == 2_325_568
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()
    assert not model.vgg.training
    model.loss(model(random_images()), torch.tensor([0, 1, 1])).backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.vgg.parameters(), strict=True))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 1_571_070


def test_vgg_is_that_of_torchvision() -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        whole = torchvision.models.vgg19(weights=None).features[:19]
    own = vgg19_features()
    assert {k: v.shape for k, v in whole.state_dict().items()} == {k: v.shape for k, v in own.state_dict().items()}
    assert [type(layer) for layer in whole] == [type(layer) for layer in own]
    assert [layer.padding for layer in whole if hasattr(layer, "padding")] == [
        layer.padding for layer in own if hasattr(layer, "padding")
    ]
    with torch.inference_mode():
        assert own(random_images(1, 128)).shape == (1, 256, 16, 16)


def test_names_and_shapes_of_the_published_checkpoints() -> None:
    state = {k: v for k, v in seeded().state_dict().items() if not k.startswith("vgg.")}
    assert len(state) == 281
    assert state["routing_stats.route_weights"].shape == (2, 10, 4, 8)
    assert state["fea_ext.capsules.9.0.weight"].shape == (64, 256, 3, 3)
    assert state["fea_ext.capsules.0.3.weight"].shape == (16, 64, 3, 3)
    assert state["fea_ext.capsules.0.7.weight"].shape == (8, 2, 5)
    assert state["fea_ext.capsules.0.9.weight"].shape == (1, 8, 3)
    assert state["fea_ext.capsules.0.10.running_mean"].shape == (1,)
    one = sum(p.numel() for p in seeded().fea_ext.capsules[0].parameters())
    assert one == 157_043


def test_one_class_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        CapsuleNet(1)
    assert "num_classes=2" in caught.value.hint
