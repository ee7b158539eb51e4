"""A training killed in mid-epoch by SIGKILL and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dfbench.models.weights import read_state

CHILD = """
import os, signal, sys
from dfbench.training.module import TrainingModule
from dfbench.training.train import train

model, protocol, manifest, out, accumulate, epoch, batch = sys.argv[1:]
step = TrainingModule.training_step

def training_step(self, images, number):
    place = (self.epoch, self.start.batches + number)
    if place == (int(epoch), int(batch)):
        os.kill(os.getpid(), signal.SIGKILL)
    print(*place, flush=True)
    return step(self, images, number)

TrainingModule.training_step = training_step
train(model, protocol, [manifest], out, device="cpu", quiet=True, save_every=0.0, accumulate=int(accumulate))
"""


def child(
    tiny: SimpleNamespace, model: str, out: Path, accumulate: int, kill: tuple[int, int]
) -> tuple[int, list[str]]:
    """Train in a process of its own; returns its exit code and the places ``epoch batch`` that it went through."""
    words = [model, tiny.protocol, tiny.manifest, out, accumulate, *kill]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "groups", "accumulate", "kill", "resumed_at"),
    [
        ("meso4", 8, 1, (1, 2), "1 2"),  # dropout, running statistics, every kind of augmentation
        ("meso4", 8, 2, (1, 3), "1 2"),  # the gradients of half a step are lost and made again
        ("grnet", 3, 1, (1, 1), "1 1"),  # stream weights and the sums they come from
    ],
)
def test_killed_and_resumed_equals_undisturbed(
    tiny: SimpleNamespace,
    tmp_path: Path,
    model: str,
    groups: int,
    accumulate: int,
    kill: tuple[int, int],
    resumed_at: str,
) -> None:
    data = tiny.make(f"{model}{accumulate}", "folder", groups=groups)
    never = (-1, -1)
    whole, broken = tmp_path / "a" / "w.safetensors", tmp_path / "b" / "w.safetensors"
    code, places = child(data, model, whole, accumulate, never)
    assert code == 0
    code, before = child(data, model, broken, accumulate, kill)
    assert code == -signal.SIGKILL
    assert before == places[: places.index(f"{kill[0]} {kill[1]}")]
    code, after = child(data, model, broken, accumulate, never)
    assert code == 0
    assert after == places[places.index(resumed_at) :], "what was stored must not be done again"
    one, two = read_state(whole), read_state(broken)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name
    if model == "grnet":
        assert one["alpha"].tolist() != [0.5, 0.5]
    curves = [list(csv.DictReader(w.with_suffix(".curve.csv").open())) for w in (whole, broken)]
    for row in [row for curve in curves for row in curve]:
        del row["seconds"]
    assert curves[0] == curves[1]
