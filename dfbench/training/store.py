"""The folder of a training under way: state after the last finished epoch, and the best weights so far."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

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


@dataclass
class Progress:
    """What is known after some epochs; ``best`` is the place of the chosen record, -1 before the first."""

    curve: list[EpochRecord]
    best: int = -1


class TrainingFolder:
    """Files of a training under way, each replaced whole.

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

    def save(self, progress: Progress, model: torch.nn.Module, optimizer: torch.optim.Optimizer, is_best: bool) -> None:
        """Store the state after an epoch."""
        self.path.mkdir(parents=True, exist_ok=True)
        if is_best:
            write_state(self.best_file, dict(model.state_dict()))
        state = {
            "key": self.key,
            "progress": json.dumps({"curve": [asdict(r) for r in progress.curve], "best": progress.best}),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        partial = self.path / "last.partial"
        torch.save(state, partial)
        os.replace(partial, self.path / "last.pt")

    def load(self, model: torch.nn.Module) -> tuple[Progress, dict[str, Any] | None]:
        """Put the stored state into the model; nothing stored, damaged or of another training: a fresh start.

        Returns:
            What is known so far, and the optimiser's state.
        """
        file = self.path / "last.pt"
        if not file.is_file():
            return Progress([]), None
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return Progress([]), None
        if not isinstance(state, dict) or state.get("key") != self.key or not self.best_file.is_file():
            return Progress([]), None
        raw = json.loads(state["progress"])
        model.load_state_dict(state["model"])
        return Progress([EpochRecord(**r) for r in raw["curve"]], raw["best"]), state["optimizer"]

    def load_best(self, model: torch.nn.Module) -> None:
        """Put the weights of the best epoch into the model."""
        model.load_state_dict(read_state(self.best_file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def write_curve(path: Path, curve: list[EpochRecord]) -> None:
    """Write the learning curve as CSV, whole or not at all."""
    text = io.StringIO()
    names = list(EpochRecord.__dataclass_fields__)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in curve)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text.getvalue(), "utf-8")
    os.replace(partial, path)
