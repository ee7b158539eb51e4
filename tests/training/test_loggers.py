"""Lightning's loggers: what they are given, where their files are, and packages that are missing."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

from dfbench.errors import SetupError, UsageError
from dfbench.training import loggers
from dfbench.training.loggers import LogSettings, check_loggers
from dfbench.training.module import TrainingModule
from dfbench.workflow import train


@pytest.mark.slow
def test_the_values_of_a_training_that_was_interrupted(
    tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfbench.training.module.LOG_STEPS", 2)
    step, stop = TrainingModule.training_step, [(1, 2)]

    def interrupt(self: TrainingModule, batch: Any, number: int) -> Any:
        if stop and (self.epoch, number) == stop[0]:
            stop.pop()
            raise KeyboardInterrupt
        return step(self, batch, number)

    monkeypatch.setattr(TrainingModule, "training_step", interrupt)
    common = {"loggers": "csv", "device": "cpu", "quiet": True, "lr_schedule": "cosine"}
    with pytest.raises(KeyboardInterrupt):
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", **common)
    train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", **common)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"w.{e}" for e in ("curve.csv", "curve.svg", "json", "logs", "safetensors")
    ]
    first, second = (
        list(csv.DictReader((tmp_path / "w.logs" / "csv" / f"version_{n}" / "metrics.csv").open())) for n in (0, 1)
    )
    assert [row["step"] for row in first] == ["2", "4", "4", "6"]
    assert [row["step"] for row in second] == ["6", "8", "8"], "it continues after the finished epoch"
    assert [float(r["lr"]) for r in first if r["lr"]] == pytest.approx([0.962e-3, 0.691e-3, 0.309e-3], abs=1e-6)
    curve = list(csv.DictReader((tmp_path / "w.curve.csv").open()))
    logged = [row for row in (*first, *second) if row["epoch"]]
    assert [row["epoch"] for row in logged] == ["1", "2"]
    assert [float(r["val/auc.video.mean"]) for r in logged] == [float(r["value"]) for r in curve]
    assert [float(r["train/epoch_loss"]) for r in logged] == [float(r["train_loss"]) for r in curve]
    hyperparameters = (tmp_path / "w.logs" / "csv" / "version_1" / "hparams.yaml").read_text("utf-8")
    assert "lr_schedule: cosine" in hyperparameters
    assert "model: meso4" in hyperparameters


def test_what_the_other_loggers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []
    finished: list[str] = []

    class Recorder(CSVLogger):
        def __init__(self, save_dir: Path, name: str, **options: Any) -> None:
            made.append({"name": name, "save_dir": save_dir, **options})
            super().__init__(save_dir, name)

        @property
        def experiment(self) -> Any:
            return SimpleNamespace(finish=lambda: finished.append(self.name), log_hparams=lambda facts: None)

    for kind in ("TensorBoardLogger", "WandbLogger"):
        monkeypatch.setattr(f"lightning.pytorch.loggers.{kind}", Recorder)
    settings = LogSettings(("tensorboard", "wandb"), tmp_path / "w.logs", "meso4 on mini", "abc", {"lr": 0.1})
    with settings.opened(step=30) as opened:
        assert len(opened) == 2
        assert not finished
    assert finished == ["meso4 on mini"], "another training of the process is another run"
    assert made == [
        {"save_dir": tmp_path / "w.logs", **loggers.TENSORBOARD, "purge_step": 31},
        {
            "name": "meso4 on mini",
            "save_dir": tmp_path / "w.logs",
            "project": "dfbench",
            "id": "abc",
            "resume": "allow",
        },
    ]


def test_no_loggers_no_folder(tmp_path: Path) -> None:
    with LogSettings(folder=tmp_path / "w.logs").opened(0) as opened:
        assert opened == []
    assert not (tmp_path / "w.logs").exists()


def test_names_and_packages(tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_loggers(["csv", "csv"]) == ("csv",)
    with pytest.raises(UsageError, match="unknown logger 'mlflow'"):
        check_loggers("mlflow")
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="needs the package wandb") as caught:
        train("meso4", tiny.protocol, tiny.manifest, tmp_path / "w.safetensors", loggers=["csv", "wandb"])
    assert caught.value.hint == "pip install wandb"
    assert not list(tmp_path.iterdir())
