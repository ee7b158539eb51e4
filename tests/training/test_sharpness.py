"""Sharpness-aware steps: the closed form on a quadratic, weights restored bit by bit, gradients accumulated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dfbench.training import supervised_step
from dfbench.training.methods import TRAINING_METHODS, TrainingMethod
from dfbench.training.sharpness import SharpnessAwareStep
from dfbench.training.steps import Batch, StepResult, TrainingStep
from dfbench.workflow import train

A = torch.tensor([[3.0, 0.5, 0.0], [0.5, 2.0, -0.4], [0.0, -0.4, 1.0]], dtype=torch.float64)
B = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)


class Quadratic(nn.Module):
    """Loss 1/2 w A w - b w; the weights are two parameters, and a third one has no part in it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.last = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(4, dtype=torch.float64))
        self.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)

    @property
    def weights(self) -> torch.Tensor:
        return torch.cat((self.first, self.last))


def quadratic_step(model: nn.Module, batch: Batch) -> StepResult:
    assert isinstance(model, Quadratic)
    w = model.weights
    return StepResult(0.5 * w @ A @ w - B @ w, None)


class Small(nn.Module):
    """A detector with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))

    def forward(self, images: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.layers(images))


BATCH = Batch(torch.zeros(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64), ("a",))


def gradient(model: Quadratic) -> torch.Tensor:
    assert model.first.grad is not None
    assert model.last.grad is not None
    return torch.cat((model.first.grad, model.last.grad))


@pytest.mark.parametrize("rho", [0.05, 0.7])
def test_the_gradient_is_that_of_the_closed_form(rho: float) -> None:
    model = Quadratic()
    step = SharpnessAwareStep(quadratic_step, rho)
    assert isinstance(step, TrainingStep)
    w = model.weights.detach().clone()
    plain = A @ w - B
    moved = w + rho * plain / plain.norm()
    result = step(model, BATCH)
    assert torch.allclose(model.weights, moved, rtol=0, atol=1e-12)
    assert result.loss.item() == pytest.approx((0.5 * moved @ A @ moved - B @ moved).item(), abs=1e-12)
    result.loss.backward()
    step.after_backward(model)
    assert torch.equal(model.weights, w)
    # A (w + rho g / |g|) - b = g + rho A g / |g|
    assert torch.allclose(gradient(model), plain + rho * A @ plain / plain.norm(), rtol=0, atol=1e-12)
    assert model.unused.grad is None
    assert torch.equal(model.frozen, torch.ones(2, dtype=torch.float64))


def test_steps_of_sgd_follow_the_closed_form() -> None:
    model, step = Quadratic(), SharpnessAwareStep(quadratic_step, 0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    w, velocity = model.weights.detach().clone(), torch.zeros(3, dtype=torch.float64)
    for _ in range(20):
        optimizer.zero_grad()
        step(model, BATCH).loss.backward()
        step.after_backward(model)
        optimizer.step()
        g = A @ w - B
        velocity = 0.9 * velocity + g + 0.1 * A @ g / g.norm()
        w = w - 0.05 * velocity
    assert torch.allclose(model.weights, w, rtol=0, atol=1e-12)


def test_accumulated_batches_move_from_the_same_weights() -> None:
    model, step = Quadratic(), SharpnessAwareStep(quadratic_step, 0.1)
    for _ in range(3):
        step(model, BATCH).loss.backward()
        step.after_backward(model)
    g = A @ model.weights.detach() - B
    assert torch.allclose(gradient(model), 3 * (g + 0.1 * A @ g / g.norm()), rtol=0, atol=1e-12)


def test_at_a_stationary_point_nothing_moves() -> None:
    model, step = Quadratic(), SharpnessAwareStep(quadratic_step, 0.1)
    best = torch.linalg.solve(A, B)
    with torch.no_grad():
        model.first.copy_(best[:2])
        model.last.copy_(best[2:])

    def flat(detector: nn.Module, batch: Batch) -> StepResult:
        return StepResult((quadratic_step(detector, batch).loss * 0.0), None)

    step.step = flat
    step(model, BATCH).loss.backward()
    step.after_backward(model)
    assert torch.equal(model.weights, torch.cat((best[:2], best[2:])))


def test_without_a_move_there_is_one_pass() -> None:
    model = Quadratic()
    plain = A @ model.weights.detach() - B
    step = SharpnessAwareStep(quadratic_step, 0.0)
    step(model, BATCH).loss.backward()
    step.after_backward(model)
    assert torch.equal(gradient(model), plain)


def test_small_gradients_in_float16_still_move_the_weights() -> None:
    layer = nn.Linear(4, 2, bias=False)
    before = layer.weight.detach().clone()

    def small(detector: nn.Module, batch: Batch) -> StepResult:
        return StepResult(detector(batch.images).float().sum() * 1e-8, None)  # below what float16 can hold

    step = SharpnessAwareStep(small, 0.1)
    with torch.autocast("cpu", torch.float16):
        step(layer, Batch(torch.ones(3, 4), torch.zeros(3, dtype=torch.int64), tuple("abc")))
    assert torch.allclose(layer.weight - before, torch.full((2, 4), 0.1 / 8**0.5), rtol=1e-2)


def test_weights_are_restored_bit_by_bit_after_errors_too() -> None:
    torch.manual_seed(0)
    network = Small()
    before = [p.detach().clone() for p in network.parameters()]
    batch = Batch(torch.rand(5, 3, 4, 4), torch.tensor([0, 1, 0, 1, 1]), tuple("abcde"))
    step = SharpnessAwareStep()
    step(network, batch).loss.backward()
    assert not all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    step.after_backward(network)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    calls = []

    def failing(detector: nn.Module, given: Batch) -> StepResult:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return StepResult(detector(given.images).logits.square().sum(), None)

    step.step = failing
    with pytest.raises(RuntimeError, match="out of memory"):
        step(network, batch)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    assert step.state_dict() == {}


@pytest.mark.slow
def test_a_training_takes_two_passes_per_batch(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})
    passes: list[bool] = []

    def counted(detector: nn.Module, batch: Batch) -> StepResult:
        passes.append(len(step._weights) > 0)
        return supervised_step(detector, batch)

    step = SharpnessAwareStep(counted)
    TRAINING_METHODS.register("sam", TrainingMethod("sam", "of a test", make=lambda detector: step))
    train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method="sam", device="cpu", quiet=True)
    assert passes == [False, True] * 8, "at the weights, then beside them"
    assert not step._weights
    assert (tmp_path / "w.safetensors").is_file()
