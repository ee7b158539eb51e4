"""The folder of a training under way: its state, in mid-epoch too, and the best weights so far."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dfbench.io import write_bytes
from dfbench.models.weights import read_state, write_state


@dataclass(frozen=True)
class EpochRecord:
    """One line of the learning curve; ``value`` is the selection metric on validation data, None if undefined."""

    epoch: int
    lr: float
    train_loss: float
    metric: str
    value: float | None
    seconds: float


@dataclass(frozen=True)
class Running:
    """What is done of the running epoch: batches and samples, the sum of the samples' losses, the time."""

    batches: int = 0
    samples: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


@dataclass
class Progress:
    """What is known so far.

    Attributes:
        curve: finished epochs.
        best: place of the chosen record in it, -1 before the first.
        running: what is done of the next.
    """

    curve: list[EpochRecord] = field(default_factory=list)
    best: int = -1
    running: Running = Running()


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and every buffer, those that weight files leave out too, as they are; nothing is copied."""
    return {n: p.data for n, p in model.named_parameters()} | dict(model.named_buffers())


def restore(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put a snapshot back, bit by bit."""
    with torch.no_grad():
        for name, tensor in snapshot(model).items():
            tensor.copy_(tensors[name])


class TrainingFolder:
    """Files of a training under way, each replaced whole, so that a kill at any time loses no more than since then.

    Args:
        path: the folder, made when something is written.
        key: identifies the training (model, data, recipe); what another one left behind is not used.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    @property
    def best_file(self) -> Path:
        """Weights of the best epoch so far."""
        return self.path / "best.safetensors"

    def save_best(self, model: nn.Module) -> None:
        """Store the weights of the best epoch so far; before the state that says so."""
        write_state(self.best_file, dict(model.state_dict()))

    def save(self, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Store where the training stands, after an epoch or within one."""
        state = {
            "key": self.key,
            "progress": json.dumps(asdict(progress)),
            "model": snapshot(model),
            "optimizer": optimizer.state_dict(),
        }
        # Through memory: torch.save reports a full disk as a RuntimeError that names no cause.
        stream = BytesIO()
        torch.save(state, stream)
        write_bytes(self.path / "last.pt", stream.getbuffer())

    def load(self, model: nn.Module) -> tuple[Progress, dict[str, Any] | None]:
        """Put the stored state into the model; nothing stored, damaged or of another training: a fresh start.

        Returns:
            What is known so far, and the optimiser's state.
        """
        file = self.path / "last.pt"
        if not file.is_file():
            return Progress(), None
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return Progress(), None
        if not isinstance(state, dict) or state.get("key") != self.key:
            return Progress(), None
        raw = json.loads(state["progress"])
        if raw["curve"] and not self.best_file.is_file():
            return Progress(), None
        restore(model, state["model"])
        curve = [EpochRecord(**record) for record in raw["curve"]]
        return Progress(curve, raw["best"], Running(**raw["running"])), state["optimizer"]

    def load_best(self, model: nn.Module) -> None:
        """Put the weights of the best epoch into the model."""
        model.load_state_dict(read_state(self.best_file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
