"""A training killed in mid-epoch by SIGKILL and started again ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from loading import load_file
from schematic_faces import EXTRAS, face_columns
from small_triples import MODEL, WEIGHT_WIDTHS, partners
from tiny_backbone import TinyBackbone

from dfbench.models.weights import read_state
from dfbench.training.methods import TRAINING_METHODS
from dfbench.training.module import TrainingModule
from dfbench.workflow import train

Place = tuple[int, int]

CHILD = """
import json, os, signal, sys
from dfbench.training.module import TrainingModule
from dfbench.workflow import train

protocol, manifest, out, epoch, batch, given = sys.argv[1:]
given = json.loads(given)
sys.path[:0] = {paths!r}
if given["method"].startswith("example-"):
    from dfbench.training.methods import TRAINING_METHODS
    from dfbench_example_plugins.training_images import BLURRED
    from dfbench_example_plugins.training_step import SAM

    TRAINING_METHODS.register("example-blurred", BLURRED)
    TRAINING_METHODS.register("example-sam", SAM)
if given["method"] == "diffusionfake":
    import small_triples
    from reference_models.diffusionfake import branches

    branches.WEIGHT_WIDTHS = small_triples.WEIGHT_WIDTHS
if given["model"] == "mat":
    from reference_models.mat import network
    from tiny_backbone import TinyBackbone

    network.timm_network = lambda *_, num_classes, **__: TinyBackbone(num_classes)
step = TrainingModule.training_step

def training_step(self, images, number):
    if (self.epoch, self.start.batches + number) == (int(epoch), int(batch)):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, images, number)

TrainingModule.training_step = training_step
train(protocol=protocol, manifests=[manifest], out=out, device="cpu", quiet=True, save_every=0.0, **given)
"""

SUPPORT = Path(__file__).resolve().parents[1] / "support"
PACKAGE = SUPPORT / "plugin_package"
"""The example plug-ins of the documentation."""


@dataclass(frozen=True)
class Case:
    """A training that is killed.

    Attributes:
        killed_at: epoch and batch, counted from 0.
        resumed_at: epoch and batch that the second process begins with.
        recipe: lines of the protocol.
        groups: real and fake clips of the training data.
        size: of the crops.
        given: of the call.
    """

    killed_at: Place
    resumed_at: Place
    recipe: str = ""
    groups: int = 5
    size: int = 64
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"model": "meso4", "method": "supervised"} | dict(self.given)


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training methods ``example-sam`` and ``example-blurred``, registered in this process."""
    monkeypatch.syspath_prepend(PACKAGE)
    registered: dict[str, Any] = {}
    monkeypatch.setattr(TRAINING_METHODS, "_added", registered)
    TRAINING_METHODS.register("example-sam", import_module("dfbench_example_plugins.training_step").SAM)
    TRAINING_METHODS.register("example-blurred", import_module("dfbench_example_plugins.training_images").BLURRED)


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of the child, in this process."""
    monkeypatch.setattr(
        "reference_models.mat.network.timm_network", lambda *_, num_classes, **__: TinyBackbone(num_classes)
    )
    if find_spec("diffusers") is not None:
        monkeypatch.setattr("reference_models.diffusionfake.branches.WEIGHT_WIDTHS", WEIGHT_WIDTHS)


def kill_in_mid_epoch(data: SimpleNamespace, out: Path, case: Case) -> None:
    """Train in a process that gets a SIGKILL."""
    words = [data.protocol, data.manifest, out, *case.killed_at, json.dumps(case.arguments)]
    code = CHILD.replace("{paths!r}", repr([str(PACKAGE), str(SUPPORT)]))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == -signal.SIGKILL


def run(data: SimpleNamespace, out: Path, case: Case, patch: pytest.MonkeyPatch) -> list[Place]:
    """Train here; returns the epochs and batches gone through."""
    places: list[Place] = []
    step = TrainingModule.training_step

    def training_step(self: TrainingModule, images: Any, number: int) -> Any:
        places.append((self.epoch, self.start.batches + number))
        return step(self, images, number)

    with patch.context() as here:
        here.setattr(TrainingModule, "training_step", training_step)
        train(
            protocol=data.protocol, manifests=[data.manifest], out=out, device="cpu", quiet=True, **case.arguments
        )  # fmt: skip
    return places


EVERYTHING = """
lr_schedule = "cosine"
warmup = 0.25
clip_norm = 0.5
ema_decay = 0.9
patience = 2
"""


CASES = {
    # Dropout, running statistics, every kind of augmentation.
    "meso4": Case((1, 2), (1, 2), groups=8),
    # The gradients of half a step are lost and made again.
    "meso4, two batches per step, schedule and average": Case(
        (1, 3), (1, 2), EVERYTHING, groups=8, given={"accumulate": 2}
    ),
    # Stream weights and the sums they come from.
    "grnet": Case((1, 1), (1, 1), groups=3, given={"model": "grnet"}),
    # Two passes, a state of the method's own.
    "two passes": Case((1, 1), (1, 1), given={"method": "example-sam"}),
    # Images of the method's own.
    "own images": Case((1, 1), (1, 1), given={"method": "example-blurred"}),
    # A map pass, blocks and noise.
    "rfm": Case((1, 1), (1, 1), given={"method": "rfm"}),
    # Pairs of the epoch, two passes.
    "sbi": Case((1, 1), (1, 1), 'lr_schedule = "linear"\n', groups=8, given={"method": "sbi"}),
    # Triples with stored similarities, trained parts of the method's own, noise and times.
    "diffusionfake": Case(
        (1, 1),
        (1, 1),
        given={"model": MODEL, "method": "diffusionfake", "method_options": {"sd": "tiny", "size": 32}},
    ),
    # The second phase: feature centres, attention dropping; drop-out.
    "mat": Case(
        (1, 1),
        (1, 1),
        size=96,
        given={"model": "mat", "options": {"padding": "same", "backbone_epochs": 1, "alpha": 0.2}},
    ),
}


def data_of(name: str, case: Case, base: Path) -> SimpleNamespace:
    """Drawn crops, and the protocol of a case."""
    drawn = load_file("tests/evaluation/conftest.py", f"crops_of_killed_{name}")
    drawn.SIZE = case.size
    columns: dict[str, Any] = {"extras": EXTRAS, "add": face_columns} if name == "sbi" else {}
    columns = {"add": partners(case.groups)} if name == "diffusionfake" else columns
    text = drawn.PROTOCOL.format(name="killed", dataset="folder").replace("size = 64", f"size = {case.size}")
    protocol = base / "killed.toml"
    protocol.write_text(text.replace("[training]\n", f"[training]\n{case.recipe}"), "utf-8")
    return SimpleNamespace(protocol=protocol, manifest=drawn.build(base / "manifest", groups=case.groups, **columns))


@pytest.mark.slow
@pytest.mark.usefixtures("examples", "smaller")
@pytest.mark.parametrize("name", CASES)
def test_killed_and_resumed_equals_undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name == "diffusionfake":
        pytest.importorskip("diffusers", reason="it comes with the extra diffusion")
    case = CASES[name]
    data = data_of(name, case, tmp_path)
    whole, broken = tmp_path / "a" / "w.safetensors", tmp_path / "b" / "w.safetensors"
    places = run(data, whole, case, monkeypatch)
    kill_in_mid_epoch(data, broken, case)
    after = run(data, broken, case, monkeypatch)
    assert after == places[places.index(case.resumed_at) :], "what was stored must not be done again"
    one, two = read_state(whole), read_state(broken)
    assert one.keys() == two.keys()
    for tensor_name, tensor in one.items():
        assert torch.equal(tensor, two[tensor_name]), tensor_name
    if name == "grnet":
        assert one["alpha"].tolist() != [0.5, 0.5]
    curves = [list(csv.DictReader(w.with_suffix(".curve.csv").open())) for w in (whole, broken)]
    for row in [row for curve in curves for row in curve]:
        del row["seconds"]
    assert curves[0] == curves[1]
