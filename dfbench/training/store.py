"""The folder of an unfinished training: its state, also within an epoch, and the best weights so far."""

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
class EpochProgress:
    """Progress of the current epoch: batches and samples, the sum of the samples' losses, the time."""

    batches: int = 0
    samples: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


@dataclass
class TrainingState:
    """State of a training, without its tensors.

    Attributes:
        curve: finished epochs.
        best: index of the selected epoch, -1 before the first.
        running: progress of the next epoch.
    """

    curve: list[EpochRecord] = field(default_factory=list)
    best: int = -1
    running: EpochProgress = EpochProgress()


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer, also those that weight files exclude; nothing is copied."""
    return {n: p.data for n, p in model.named_parameters()} | dict(model.named_buffers())


def restore(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore a snapshot, bit by bit."""
    with torch.no_grad():
        for name, tensor in snapshot(model).items():
            tensor.copy_(tensors[name])


class TrainingFolder:
    """Files of an unfinished training, replaced atomically, so that a kill loses only the time since the last one.

    Args:
        path: the folder, created on the first write.
        key: identifies the training (model, data, recipe); files of another one are not used.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    @property
    def best_file(self) -> Path:
        """Weights of the best epoch so far."""
        return self.path / "best.safetensors"

    def save_best(self, model: nn.Module) -> None:
        """Store the weights of the best epoch so far, before the state that refers to them."""
        write_state(self.best_file, dict(model.state_dict()))

    def save(self, progress: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Store the state, after an epoch or within one."""
        state = {
            "key": self.key,
            "progress": json.dumps(asdict(progress)),
            "model": snapshot(model),
            "optimizer": optimizer.state_dict(),
        }
        # Through memory: torch.save reports a full disk as a RuntimeError without a cause.
        stream = BytesIO()
        torch.save(state, stream)
        write_bytes(self.path / "last.pt", stream.getbuffer())

    def load(self, model: nn.Module) -> tuple[TrainingState, dict[str, Any] | None]:
        """Load the stored state into the model; without one, or if it is damaged or of another training, start anew.

        Returns:
            The state, and that of the optimiser.
        """
        file = self.path / "last.pt"
        if not file.is_file():
            return TrainingState(), None
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return TrainingState(), None
        if not isinstance(state, dict) or state.get("key") != self.key:
            return TrainingState(), None
        raw = json.loads(state["progress"])
        if raw["curve"] and not self.best_file.is_file():
            return TrainingState(), None
        restore(model, state["model"])
        curve = [EpochRecord(**record) for record in raw["curve"]]
        return TrainingState(curve, raw["best"], EpochProgress(**raw["running"])), state["optimizer"]

    def load_best(self, model: nn.Module) -> None:
        """Load the weights of the best epoch into the model."""
        model.load_state_dict(read_state(self.best_file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
