"""Which stored states are resumed, which are refused and why; more epochs on resume."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision

from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training.module import TrainingModule
from dfbench.training.store import difference
from dfbench.versions import library_versions
from dfbench.workflow import train

STEPS = 4  # of an epoch
Place = tuple[int, int]


def run(tiny: SimpleNamespace, out: Path, **options: Any) -> Path:
    return train("meso4", tiny.protocol, tiny.manifest, out, device="cpu", quiet=True, **options)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """``.seen``: epochs and batches of the last training; ``.stop``: where the user interrupts it."""
    step = TrainingModule.training_step
    found = SimpleNamespace(seen=[], stop=None)

    def training_step(self: TrainingModule, batch: Any, number: int) -> Any:
        place = (self.epoch, self.start.batches + number)
        if place == found.stop:
            found.stop = None
            raise KeyboardInterrupt
        found.seen.append(place)
        return step(self, batch, number)

    monkeypatch.setattr(TrainingModule, "training_step", training_step)
    return found


def interrupted(tiny: SimpleNamespace, out: Path, places: SimpleNamespace, **options: Any) -> None:
    """Train until the second epoch is half done; the first one is stored."""
    places.stop = (1, 2)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, out, **options)
    places.seen.clear()


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings; after a test of the command line in the same process, other messages are logged too."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_more_epochs_on_resume_equal_a_longer_training(
    tiny: SimpleNamespace, tmp_path: Path, places: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run(tiny, tmp_path / "a" / "w.safetensors", epochs=3)
    out = tmp_path / "b" / "w.safetensors"
    interrupted(tiny, out, places)
    assert run(tiny, out, epochs=3) == out
    assert places.seen == [(epoch, batch) for epoch in (1, 2) for batch in range(STEPS)]
    one, two = read_state(whole), read_state(out)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert read_card(out).recipe == read_card(whole).recipe
    assert not warnings_in(caplog)


def test_the_loss_scaling_of_float16_is_resumed(
    tiny: SimpleNamespace, tmp_path: Path, places: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, where dfbench and Lightning refuse float16, with a scale that grows every third step."""
    scalers: list[torch.amp.GradScaler] = []

    def trainer(precision: str, **options: Any) -> pl.Trainer:
        assert precision == "16-mixed"
        scalers.append(torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3))
        return pl.Trainer(plugins=MixedPrecision("16-mixed", "cpu", scalers[-1]), **options)

    monkeypatch.setattr("dfbench.training.lightning.pl", SimpleNamespace(Trainer=trainer))
    monkeypatch.setattr("dfbench.evaluation.plan.check_precision", lambda *_: None)
    whole, out = (tmp_path / name / "w.safetensors" for name in "ab")
    run(tiny, whole, precision="fp16")
    interrupted(tiny, out, places, precision="fp16")
    run(tiny, out, precision="fp16")
    one, two = read_state(whole), read_state(out)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert [scaler.get_scale() for scaler in scalers] == [1024.0] * 3, "256 grows at the third and sixth of eight steps"


def test_the_card_tells_of_a_schedule_that_was_stretched(
    tiny: SimpleNamespace, tmp_path: Path, places: SimpleNamespace
) -> None:
    out = tmp_path / "w.safetensors"
    interrupted(tiny, out, places, lr_schedule="cosine")
    run(tiny, out, lr_schedule="cosine", epochs=3)
    assert read_card(out).recipe["epochs_before_resume"] == [2]
    rates = [float(row["lr"]) for row in csv.DictReader((tmp_path / "w.curve.csv").open())]
    assert rates == pytest.approx([1e-3, 0.75e-3, 0.25e-3])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lr": 1e-4}, "recipe: lr 0.001, now 0.0001"),
        ({"epochs": 1}, "recipe: epochs 2, now 1"),
        ({"options": {"binary_outputs": 1}}, "options: binary_outputs None, now 1"),
        ("libraries", "libraries: torch"),
        ("damaged", "the file is damaged"),
        ("old", "another version of dfbench stored it"),
        ("best", "best.safetensors is missing"),
    ],
)
def test_a_state_that_is_not_used_is_told_with_the_reason(
    tiny: SimpleNamespace,
    tmp_path: Path,
    places: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: Any,
    why: str,
) -> None:
    out = tmp_path / "w.safetensors"
    interrupted(tiny, out, places)
    folder = tmp_path / "w.training"
    if change == "libraries":
        monkeypatch.setattr("dfbench.training.train.library_versions", lambda: library_versions() | {"torch": "9.9"})
    elif change == "damaged":
        (folder / "last.pt").write_bytes(b"PK\x03\x04 cut short")
    elif change == "old":
        torch.save({"key": "abc", "progress": "{}"}, folder / "last.pt")
    elif change == "best":
        (folder / "best.safetensors").unlink()
    with caplog.at_level(logging.WARNING, logger="dfbench"):
        places.stop = (0, 1)
        with pytest.raises(KeyboardInterrupt):
            run(tiny, out, **change if isinstance(change, dict) else {})
    assert places.seen == [(0, 0)]
    (message,) = warnings_in(caplog)
    assert f"{folder / 'last.pt'} is not used: {why}" in message
    assert message.endswith("starting at epoch 1")
    assert "\n" not in message


def test_differences_are_told_by_part() -> None:
    old = {"protocol": "a", "recipe": {"lr": 1, "epochs": 5}, "options": {}}
    assert difference(old, old) == ""
    assert difference(old, old | {"protocol": "b", "options": {"x": 1}}) == "options: x None, now 1; another protocol"
    assert difference(old, old | {"recipe": {"lr": 2, "epochs": 4}}) == "recipe: epochs 5, now 4; lr 1, now 2"
