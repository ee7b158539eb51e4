"""A training killed in mid-epoch by SIGKILL and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from schematic_faces import EXTRAS, face_columns

from dfbench.models.weights import read_state
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.module import TrainingModule
from dfbench.workflow import train

Place = tuple[int, int]

CHILD = """
import os, signal, sys
from dfbench.training.module import TrainingModule
from dfbench.workflow import train

model, protocol, manifest, out, accumulate, method, epoch, batch = sys.argv[1:]
if method.startswith("example-"):
    sys.path.insert(0, {package!r})
    from dfbench.training.methods import TRAINING_METHODS
    from dfbench_example_plugins.training_images import BLURRED
    from dfbench_example_plugins.training_step import SAM

    TRAINING_METHODS.register("example-blurred", BLURRED)
    TRAINING_METHODS.register("example-sam", SAM)
step = TrainingModule.training_step

def training_step(self, images, number):
    if (self.epoch, self.start.batches + number) == (int(epoch), int(batch)):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, images, number)

TrainingModule.training_step = training_step
options = dict(device="cpu", quiet=True, save_every=0.0, accumulate=int(accumulate), method=method)
train(model, protocol, [manifest], out, **options)
"""

PACKAGE = Path(__file__).resolve().parents[1] / "support" / "plugin_package"
"""The example plug-ins of the documentation."""


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training methods ``example-sam`` and ``example-blurred``, registered in this process."""
    monkeypatch.syspath_prepend(PACKAGE)
    registered: dict[str, Any] = {}
    monkeypatch.setattr(TRAINING_METHODS, "_added", registered)
    TRAINING_METHODS.register("example-sam", import_module("dfbench_example_plugins.training_step").SAM)
    TRAINING_METHODS.register("example-blurred", import_module("dfbench_example_plugins.training_images").BLURRED)


def kill_in_mid_epoch(data: SimpleNamespace, model: str, out: Path, accumulate: int, method: str, place: Place) -> None:
    """Train in a process that gets a SIGKILL at a batch of an epoch, both counted from 0."""
    words = [model, data.protocol, data.manifest, out, accumulate, method, *place]
    code = CHILD.replace("{package!r}", repr(str(PACKAGE)))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == -signal.SIGKILL


def run(
    data: SimpleNamespace, model: str, out: Path, accumulate: int, method: str, patch: pytest.MonkeyPatch
) -> list[Place]:
    """Train here; returns the epochs and batches gone through."""
    places: list[Place] = []
    step = TrainingModule.training_step

    def training_step(self: TrainingModule, images: Any, number: int) -> Any:
        places.append((self.epoch, self.start.batches + number))
        return step(self, images, number)

    with patch.context() as here:
        here.setattr(TrainingModule, "training_step", training_step)
        common = {"device": "cpu", "quiet": True, "accumulate": accumulate, "method": method}
        train(model, data.protocol, [data.manifest], out, **common)
    return places


EVERYTHING = """
lr_schedule = "cosine"
warmup = 0.25
clip_norm = 0.5
ema_decay = 0.9
patience = 2
"""


@pytest.mark.slow
@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize(
    ("model", "groups", "accumulate", "method", "killed_at", "resumed_at", "recipe"),
    [
        ("meso4", 8, 1, "supervised", (1, 2), (1, 2), ""),  # dropout, running statistics, every kind of augmentation
        (
            "meso4",
            8,
            2,
            "supervised",
            (1, 3),
            (1, 2),
            EVERYTHING,
        ),  # the gradients of half a step are lost and made again
        ("grnet", 3, 1, "supervised", (1, 1), (1, 1), ""),  # stream weights and the sums they come from
        ("meso4", 5, 1, "example-sam", (1, 1), (1, 1), ""),  # two passes, a state of the method's own
        ("meso4", 5, 1, "example-blurred", (1, 1), (1, 1), ""),  # images of the method's own
        ("meso4", 5, 1, "rfm", (1, 1), (1, 1), ""),  # a map pass, blocks and noise
        ("meso4", 8, 1, "sbi", (1, 1), (1, 1), 'lr_schedule = "linear"\n'),  # pairs of the epoch, two passes
    ],
    ids=[
        "meso4",
        "meso4, two batches per step, schedule and average",
        "grnet",
        "two passes",
        "own images",
        "rfm",
        "sbi",
    ],
)
def test_killed_and_resumed_equals_undisturbed(
    tiny: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    groups: int,
    accumulate: int,
    method: str,
    killed_at: Place,
    resumed_at: Place,
    recipe: str,
) -> None:
    columns = {"extras": EXTRAS, "add": face_columns} if method == "sbi" else {}
    data = tiny.make(f"{model}{groups}{accumulate}{method}", "folder", groups=groups, **columns)
    text = data.protocol.read_text("utf-8")
    data.protocol.write_text(text.replace("[training]\n", f"[training]\n{recipe}"), "utf-8")
    whole, broken = tmp_path / "a" / "w.safetensors", tmp_path / "b" / "w.safetensors"
    places = run(data, model, whole, accumulate, method, monkeypatch)
    kill_in_mid_epoch(data, model, broken, accumulate, method, killed_at)
    after = run(data, model, broken, accumulate, method, monkeypatch)
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
