"""Several devices and accumulated gradients make the steps that one device with the whole batch makes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from schematic_faces import EXTRAS, face_columns

from dfbench.errors import SetupError, UsageError
from dfbench.models.card import read_card
from dfbench.models.weights import read_state
from dfbench.training.lightning import require_devices
from dfbench.workflow import train

# Nothing in it depends on the other samples of a batch, so that dividing a batch changes rounding alone.
NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, num_classes=2):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5, stride=4)
        self.head = nn.Linear(4, num_classes)
    def forward(self, x):
        return self.head(self.conv(x).relu().mean(dim=(2, 3)))
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET, "utf-8")
    return f"{tmp_path / 'net.py'}:Net"


def run(tiny: SimpleNamespace, net: str, out: Path, **options: Any) -> Path:
    return train(net, tiny.protocol, [tiny.manifest], out, device="cpu", quiet=True, **options)


def assert_close(first: Path, second: Path) -> None:
    one, two = read_state(first), read_state(second)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.slow
def test_accumulated_batches_make_one_step(tiny: SimpleNamespace, net: str, tmp_path: Path) -> None:
    whole = run(tiny, net, tmp_path / "whole.safetensors", batch_size=8)
    parts = run(tiny, net, tmp_path / "parts.safetensors", batch_size=4, accumulate=2)
    assert_close(whole, parts)
    alone = run(tiny, net, tmp_path / "alone.safetensors", batch_size=4)
    moved = (read_state(alone)["network.conv.weight"] - read_state(whole)["network.conv.weight"]).abs().max()
    assert moved > 1e-4, "half the batch without accumulation is another training"
    assert read_card(parts).recipe["accumulate"] == 2


KILLED = """
import os, signal, sys
from dfbench.training.module import TrainingModule
from dfbench.cli.main import run_command

step = TrainingModule.training_step

def training_step(self, images, number):
    if (self.epoch, self.start.batches + number, self.global_rank) == (1, 2, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, images, number)

TrainingModule.training_step = training_step
if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_devices_share_a_batch_also_after_a_kill(tiny: SimpleNamespace, net: str, tmp_path: Path) -> None:
    """The class weights are those of the whole batch, and the loss is summed over both devices, before and after."""
    text = tiny.protocol.read_text("utf-8")
    protocol = tmp_path / "weighted.toml"
    text = text.replace('sampling = "balanced"', 'class_weights = "balanced"')
    unequal = 'split = "train"\ntake = { real = 3, fake = 8 }\n'
    protocol.write_text(text.replace('split = "train"\n', unequal), "utf-8")
    data = SimpleNamespace(protocol=protocol, manifest=tiny.manifest)
    whole = run(data, net, tmp_path / "whole.safetensors")
    out = tmp_path / "two.safetensors"
    words = ["train", "--model", net, "--protocol", protocol, "--manifest", data.manifest, "--out", out]
    words += ["--device", "cpu", "--devices", 2, "--save-every", 0, "-q"]
    (tmp_path / "killed.py").write_text(KILLED, "utf-8")

    def launch(*program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *program, *map(str, words)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert launch(str(tmp_path / "killed.py")).returncode == -signal.SIGKILL
    assert (tmp_path / "two.training" / "last.pt").is_file()
    done = launch("-m", "dfbench")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(out)], "one process alone speaks and writes"
    assert_close(whole, out)
    card = read_card(out)
    assert card.recipe["devices"] == 2
    assert card.selection.value == pytest.approx(read_card(whole).selection.value, abs=0.05)
    one, two = (list(csv.DictReader(w.with_suffix(".curve.csv").open())) for w in (whole, out))
    assert [float(r["train_loss"]) for r in two] == pytest.approx([float(r["train_loss"]) for r in one], abs=1e-4)


@pytest.mark.slow
def test_two_devices_share_self_blended_batches(tiny: SimpleNamespace, net: str, tmp_path: Path) -> None:
    """Each device makes the pairs of its half of a batch, from sample id and epoch, as one device makes all."""
    faces = tiny.make("faces-of-devices", "folder", 6, extras=EXTRAS, add=face_columns)
    chosen = {"method": "sbi", "method_options": {"sharpness": 0.0}, "epochs": 1}
    whole = run(faces, net, tmp_path / "whole.safetensors", **chosen)
    out = tmp_path / "two.safetensors"
    words = ["train", "--model", net, "--protocol", faces.protocol, "--manifest", faces.manifest, "--out", out]
    words += [
        "--device",
        "cpu",
        "--devices",
        2,
        "--method",
        "sbi",
        "--method-option",
        "sharpness=0",
        "--epochs",
        1,
        "-q",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "dfbench", *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_card(out).recipe["devices"] == 2
    one, two = read_state(whole), read_state(out)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=0, atol=1e-6, msg=name)
    alone = run(faces, net, tmp_path / "alone.safetensors", batch_size=4, **chosen)
    assert (read_state(alone)["network.conv.weight"] - one["network.conv.weight"]).abs().max() > 1e-4


def test_devices_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        require_devices(torch.device("cpu"), 0)
    with pytest.raises(SetupError, match="999 GPUs"):
        require_devices(torch.device("cuda", 0), 999)
