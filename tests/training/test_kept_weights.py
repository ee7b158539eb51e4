"""Weights of a training method that are kept beside those of the detector: of which epoch, after a kill, the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dfbench.errors import ModelError, UsageError
from dfbench.io import file_sha256
from dfbench.models.card import method_path, read_card
from dfbench.models.weights import read_state
from dfbench.training import Batch, StepResult, TrainingMethod, supervised_step
from dfbench.training import fit as fit_module
from dfbench.training.fit import Validation
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.module import TrainingModule
from dfbench.training.store import TrainingFolder
from dfbench.workflow import train

AFTER_EPOCHS: list[Tensor] = []


class Net(nn.Module):
    """The fewest weights."""

    def __init__(self, num_classes: int = 2, image_size: int | None = None) -> None:
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.mean(dim=(2, 3)))


class Scaled(nn.Module):
    """Steps with two parameters of their own, of which one is kept."""

    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.scale, self.other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(()))
        self.keep = keep

    def start_epoch(self, detector: nn.Module, epoch: int) -> None:
        """Do nothing."""

    def forward(self, detector: nn.Module, batch: Batch) -> StepResult:
        result = supervised_step(detector, batch)
        return StepResult(result.loss * self.scale.square().sum() + self.other.square(), result.output)

    def after_backward(self, detector: nn.Module) -> None:
        """Do nothing."""

    def kept_weights(self) -> Mapping[str, Tensor]:
        AFTER_EPOCHS.append(self.scale.detach().clone())
        return {"scale": self.scale} if self.keep else {}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRAINING_METHODS, "_added", {})
    monkeypatch.setattr(TRAINING_METHODS, "_loaded", {})
    method = TrainingMethod(
        "scaled", "of a test", make=lambda _, keep: Scaled(keep), options={"keep": True}, storage=("keep",)
    )
    TRAINING_METHODS.register("scaled", method)
    AFTER_EPOCHS.clear()


def trained(tiny: SimpleNamespace, out: Path, keep: bool = True, **options: Any) -> Path:
    return train(
        Net, tiny.protocol, tiny.manifest, out, method="scaled", method_options={"keep": keep}, device="cpu",
        quiet=True, save_every=0.0, lr=0.1, **options,
    )  # fmt: skip


def test_those_of_the_selected_epoch_are_kept(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter((0.6, 0.9, 0.7))
    monkeypatch.setattr(fit_module, "validate", lambda *_, **__: Validation(next(values)))
    out = trained(tiny, tmp_path / "w.safetensors", epochs=3)
    assert len(AFTER_EPOCHS) == 2, "the third epoch is not the best so far"
    (kept,) = read_state(method_path(out)).items()
    assert kept[0] == "scale"
    assert torch.equal(kept[1], AFTER_EPOCHS[1])
    assert not torch.equal(kept[1], AFTER_EPOCHS[0])
    card = read_card(out)
    assert card.method_weights is not None
    assert card.method_weights.sha256 == file_sha256(method_path(out))
    assert card.method_weights.bytes == method_path(out).stat().st_size
    assert card.selection.epoch == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        "w.safetensors", "w.json", "w.method.safetensors", "w.curve.csv", "w.curve.svg",
    }  # fmt: skip


def test_a_killed_training_keeps_the_same_bytes(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within an epoch, between the files of the best epoch and the state, and at the very end."""
    undisturbed = trained(tiny, tmp_path / "a" / "w.safetensors")
    stops = {"step": 2, "best": 1, "remove": 1}

    def stopping(cls: type, method: str, name: str) -> None:
        original, calls = getattr(cls, method), [0]

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            stopped = calls[0] == stops.get(name)
            found = original(self, *args, **kwargs) if not stopped or name == "best" else None
            if stopped:
                del stops[name]
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(cls, method, call)

    stopping(TrainingModule, "training_step", "step")
    stopping(TrainingFolder, "save_best", "best")
    stopping(TrainingFolder, "remove", "remove")
    out = tmp_path / "b" / "w.safetensors"
    interrupted = 0
    while True:
        try:
            trained(tiny, out)
            break
        except KeyboardInterrupt:
            interrupted += 1
    assert (interrupted, stops) == (3, {})
    for one in (out, method_path(out)):
        assert one.read_bytes() == (tmp_path / "a" / one.name).read_bytes()
    assert read_card(out).method_weights == read_card(undisturbed).method_weights


def test_a_stored_training_that_lacks_them_begins_anew(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(self: TrainingFolder) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingFolder, "remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tiny, tmp_path / "w.safetensors", epochs=1)
    (tmp_path / "w.training" / "best.method.safetensors").unlink()
    trained(tiny, tmp_path / "w.safetensors", epochs=1)
    assert "best.method.safetensors is missing; starting at epoch 1" in caplog.text
    assert method_path(tmp_path / "w.safetensors").is_file()


@pytest.mark.parametrize("keep", [True, False])
def test_an_interrupted_training_that_kept_others_begins_anew(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, keep: bool
) -> None:
    """Of the best epoch so far there may be no weights to keep."""

    def interrupted(self: TrainingFolder) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingFolder, "remove", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tiny, tmp_path / "w.safetensors", keep=not keep, epochs=1)
    trained(tiny, tmp_path / "w.safetensors", keep=keep, epochs=1)
    assert f"not used: recipe: method_options keep {not keep}, now {keep}; starting at epoch 1" in caplog.text
    assert method_path(tmp_path / "w.safetensors").is_file() == keep
    assert len(AFTER_EPOCHS) == 2


def test_weights_without_them_leave_no_file_of_earlier_ones(tiny: SimpleNamespace, tmp_path: Path) -> None:
    out = trained(tiny, tmp_path / "w.safetensors", epochs=1)
    former = method_path(out).read_bytes()
    trained(tiny, out, keep=False, epochs=1)
    assert not method_path(out).exists()
    assert "method_weights" not in out.with_suffix(".json").read_text("utf-8")
    assert read_card(out).method_weights is None
    method_path(out).write_bytes(former)
    with pytest.raises(ModelError, match="holds what a training method keeps") as caught:
        read_card(method_path(out))
    assert caught.value.hint == "pass w.safetensors"
    with pytest.raises(UsageError, match=r"\.method\.safetensors is the name") as told:
        trained(tiny, method_path(out))
    assert told.value.hint == "--out w.safetensors"
