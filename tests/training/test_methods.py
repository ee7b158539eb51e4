"""Training methods that make an object for their steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dfbench.errors import ModelError, UsageError
from dfbench.training import Batch, StepResult, TrainingMethod, TrainingStep, supervised_step
from dfbench.training.methods import TRAINING_METHODS
from dfbench.workflow import train


class Scaled(nn.Module):
    """A step with a parameter of its own, which freezes the detector's first layer in the first epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.epochs: list[int] = []
        self.passes = 0
        self.moved: list[bool] = []

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        self.epochs.append(epoch)
        self.first = next(detector.parameters())
        self.before = self.first.detach().clone()
        self.first.requires_grad_(epoch > 0)

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        result = supervised_step(detector, batch)
        return StepResult(result.loss * self.scale.square() + (self.scale - 2).square(), result.output)

    def after_backward(self, detector: nn.Module) -> None:
        assert self.scale.grad is not None
        self.passes += 1
        self.moved.append(not torch.equal(self.first, self.before))


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})

    def register(made: Any) -> str:
        TRAINING_METHODS.register("own", TrainingMethod("own", "of a test", make=lambda detector: made))
        return "own"

    return register


@pytest.mark.slow
def test_its_parameters_are_trained_and_its_phases_kept(
    tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]
) -> None:
    step = Scaled()
    assert isinstance(step, TrainingStep)
    train(
        "meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method=method(step), device="cpu", quiet=True
    )
    assert step.epochs == [0, 1]
    assert step.passes == 8
    assert float(step.scale.detach()) != 1.0
    assert step.moved[:4] == [False] * 4, "frozen in the first epoch"
    assert step.moved[-1], "and trained in the second"


def test_what_it_makes_is_checked(tiny: SimpleNamespace, tmp_path: Path, method: Callable[[Any], str]) -> None:
    with pytest.raises(ModelError, match="makes Linear, which is no TrainingStep"):
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", method=method(nn.Linear(1, 1)))


@pytest.mark.parametrize("both", [True, False])
def test_a_method_has_a_function_or_makes_an_object(both: bool) -> None:
    given = {"step": supervised_step, "make": lambda detector: Scaled()} if both else {}
    with pytest.raises(UsageError, match="either step or make"):
        TRAINING_METHODS.register("wrong", TrainingMethod("wrong", "of a test", **given))
