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
    """One line of the learning curve.

    Attributes:
        epoch: counted from 1.
        lr: learning rate at its start.
        train_loss: mean over its samples.
        metric: the selection metric.
        value: of it on validation data; None if undefined.
        seconds: time.
        heads: further head of the detector -> its value of the metric; they select nothing.
    """

    epoch: int
    lr: float
    train_loss: float
    metric: str
    value: float | None
    seconds: float
    heads: dict[str, float | None] = field(default_factory=dict)


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
        batch_norm_samples: training samples that the batch-norm statistics were estimated on; 0: running averages.
        shorter: numbers of epochs that were requested before, where a resumed training was made longer.
        method_counts: what the training method skipped or replaced among the samples -> how often.
        method_record: what the steps of the method and its images tell for the card.
        keeps_weights: whether weights of the method's steps are stored beside those of the detector.
    """

    curve: list[EpochRecord] = field(default_factory=list)
    best: int = -1
    running: EpochProgress = EpochProgress()
    batch_norm_samples: int = 0
    shorter: list[int] = field(default_factory=list)
    method_counts: dict[str, int] = field(default_factory=dict)
    method_record: dict[str, Any] = field(default_factory=dict)
    keeps_weights: bool = False


@dataclass(frozen=True, eq=False)
class StoredTraining:
    """What is left of an interrupted training.

    Attributes:
        state: its state; that of a new training where nothing is stored or the stored state is not used.
        tensors: state of the optimiser and of further parts, by name; empty for a new training.
        refused: why a stored state is not used; empty where it is used, or there is none.
    """

    state: TrainingState = field(default_factory=TrainingState)
    tensors: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer, also those that weight files exclude; nothing is copied."""
    return {n: p.data for n, p in model.named_parameters()} | dict(model.named_buffers())


def restore(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore a snapshot, bit by bit."""
    with torch.no_grad():
        for name, tensor in snapshot(model).items():
            tensor.copy_(tensors[name])


def difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return in words how a stored training differs from the requested one; an empty string if it may be resumed.

    A larger number of epochs is no difference.

    Args:
        stored: part -> what the stored training depends on.
        wanted: the same of the requested one.

    >>> difference({"recipe": {"lr": 0.1, "epochs": 2}}, {"recipe": {"lr": 0.1, "epochs": 3}})
    ''
    >>> difference({"libraries": {"torch": "2.4.0"}}, {"libraries": {"torch": "2.5.0"}})
    'libraries: torch 2.4.0, now 2.5.0'
    >>> difference({"options": {"faces": {"keep": False}}}, {"options": {"faces": {"keep": True}}})
    'options: faces keep False, now True'
    """
    found = []
    for part in sorted(stored.keys() | wanted.keys()):
        old, new = stored.get(part), wanted.get(part)
        if isinstance(old, dict) and isinstance(new, dict):
            if part == "recipe" and old["epochs"] < new["epochs"]:
                old = old | {"epochs": new["epochs"]}
            changed = _changed(old, new)
            found += [f"{part}: {'; '.join(changed)}"] if changed else []
        elif old != new:
            found.append(f"another {part}")
    return "; ".join(found)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], within: str = "") -> list[str]:
    """Return what differs, in words; in dictionaries, such as the options of a method, every value by itself."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            found += _changed(before, now, f"{within}{name} ")
        elif before != now:
            found.append(f"{within}{name} {before}, now {now}")
    return found


class TrainingFolder:
    """Files of an unfinished training, replaced atomically, so that a kill loses only the time since the last one.

    Args:
        path: the folder, created on the first write.
        identity: part (detector, data, recipe, ...) -> what the training depends on, as JSON; a state that was stored
            for another identity is not used.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.identity: dict[str, Any] = json.loads(json.dumps(identity, default=str))

    @property
    def best_file(self) -> Path:
        """Weights of the best epoch so far."""
        return self.path / "best.safetensors"

    @property
    def best_method_file(self) -> Path:
        """Weights of the method's steps at the end of that epoch, where they are kept."""
        return self.path / "best.method.safetensors"

    @property
    def state_file(self) -> Path:
        """The last state."""
        return self.path / "last.pt"

    def save_best(self, model: nn.Module, method_weights: Mapping[str, Tensor] | None = None) -> None:
        """Store the weights of the best epoch so far, before the state that refers to them.

        Args:
            model: the detector.
            method_weights: those of the method's steps; None or empty: none are kept.
        """
        write_state(self.best_file, dict(model.state_dict()))
        if method_weights:
            write_state(self.best_method_file, dict(method_weights))

    def save(self, progress: TrainingState, model: nn.Module, tensors: Mapping[str, Any]) -> None:
        """Store the state, after an epoch or within one.

        Args:
            progress: the state without its tensors.
            model: the detector.
            tensors: state of the optimiser and of further parts, by name.
        """
        state = {
            "identity": json.dumps(self.identity),
            "progress": json.dumps(asdict(progress)),
            "model": snapshot(model),
            "tensors": dict(tensors),
        }
        # Through memory: torch.save reports a full disk as a RuntimeError without a cause.
        stream = BytesIO()
        torch.save(state, stream)
        write_bytes(self.state_file, stream.getbuffer())

    def load(self, model: nn.Module) -> StoredTraining:
        """Load the stored state into the model; without one, or if it is damaged or of another training, start anew."""
        if not self.state_file.is_file():
            return StoredTraining()
        try:
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError):
            return StoredTraining(refused="the file is damaged")
        if not isinstance(state, dict) or "identity" not in state:
            return StoredTraining(refused="another version of dfbench stored it")
        identity, raw = json.loads(state["identity"]), json.loads(state["progress"])
        different = difference(identity, self.identity)
        if different:
            return StoredTraining(refused=different)
        keeps = raw.get("keeps_weights", False)
        for file in (self.best_file, *((self.best_method_file,) if keeps else ())):
            if raw["curve"] and not file.is_file():
                return StoredTraining(refused=f"{file.name} is missing")
        restore(model, state["model"])
        shorter = raw["shorter"]
        if identity["recipe"]["epochs"] < self.identity["recipe"]["epochs"]:
            shorter = [*shorter, identity["recipe"]["epochs"]]
        curve = [EpochRecord(**record) for record in raw["curve"]]
        running = EpochProgress(**raw["running"])
        counts, record = raw.get("method_counts", {}), raw.get("method_record", {})
        progress = TrainingState(curve, raw["best"], running, raw["batch_norm_samples"], shorter, counts, record, keeps)
        return StoredTraining(progress, state["tensors"])

    def load_best(self, model: nn.Module) -> None:
        """Load the weights of the best epoch into the model."""
        model.load_state_dict(read_state(self.best_file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
