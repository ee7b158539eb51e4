"""An evaluation killed by SIGKILL within a condition scores only the missing samples, with identical scores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dfbench.errors import SetupError
from dfbench.evaluation import inference
from dfbench.evaluation.partial_results import LogitParts
from dfbench.evaluation.run import Run
from dfbench.workflow import evaluate

# Writes down how many images it has scored, and can end its process.
COUNTING = """
import os, pathlib, signal
from torch import nn
LOG = pathlib.Path(__file__).with_suffix(".log")
class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)
    def forward(self, images):
        if not self.training and len(images) > 2:
            with LOG.open("a") as stream:
                stream.write(f"{len(images)}\\n")
            if os.environ.get("KILL_AT") == str(len(LOG.read_text().split())):
                os.kill(os.getpid(), signal.SIGKILL)
        return self.layer(images).mean(dim=(2, 3))
"""
CHILD = """
import sys
from dfbench.evaluation import inference
from dfbench.workflow import evaluate
inference.KEPT_EVERY = 2
model, protocol, manifest, out = sys.argv[1:]
evaluate(model, protocol, [manifest], out=out, device="cpu", quiet=True, batch_size=3)
"""


@pytest.fixture
def model(tmp_path: Path) -> tuple[str, Path]:
    file = tmp_path / "counting.py"
    file.write_text(COUNTING, "utf-8")
    return f"{file}:Counting", file.with_suffix(".log")


def run(model: tuple[str, Path], tiny: SimpleNamespace, out: Path, **options: Any) -> tuple[Run, int]:
    """Evaluate here; returns the run and the number of images that were scored for it."""
    model[1].write_text("")
    done = evaluate(model[0], tiny.protocol, [tiny.manifest], out=out, device="cpu", quiet=True, **options)
    return done, sum(map(int, model[1].read_text().split()))


@pytest.mark.slow
def test_a_killed_evaluation_scores_only_what_is_missing(
    model: tuple[str, Path], tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "KEPT_EVERY", 2)
    whole, scored = run(model, tiny, tmp_path / "whole", batch_size=3)
    assert scored == 30
    model[1].write_text("")
    words = [model[0], tiny.protocol, tiny.manifest, tmp_path / "killed"]
    environment = os.environ | {"KILL_AT": "7", "OMP_NUM_THREADS": "1"}
    child = subprocess.run([sys.executable, "-c", CHILD, *map(str, words)], env=environment, check=False)
    assert child.returncode == -signal.SIGKILL
    (parts,) = [path for path in (tmp_path / "killed" / "conditions").iterdir() if path.is_dir()]
    assert sorted(path.name for path in parts.iterdir()) == ["0.npy", "6.npy"]
    again, scored = run(model, tiny, tmp_path / "killed", batch_size=3)
    assert scored == 18, "the first twelve are stored"
    assert again.scores_table.equals(whole.scores_table)
    assert again.result.metrics == whole.result.metrics
    assert not (tmp_path / "killed" / "conditions").exists()


def test_parts_of_another_batch_size_are_not_used(
    model: tuple[str, Path], tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "KEPT_EVERY", 2)
    add, stored = LogitParts.add, []

    def killed(self: LogitParts, logits: np.ndarray) -> None:
        add(self, logits)
        stored.append(len(logits))
        if len(stored) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LogitParts, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            run(model, tiny, tmp_path / "run", batch_size=3)
    assert run(model, tiny, tmp_path / "run", batch_size=4)[1] == 28, "30 images; the counter leaves out batches of two"


def test_a_compiled_network_gives_the_same_scores_and_is_recorded(
    model: tuple[str, Path], tiny: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "COMPILER", "eager")
    file = tmp_path / "plain.py"
    file.write_text(
        "import torch\nclass Net(torch.nn.Conv2d):\n    def __init__(self):\n        super().__init__(3, 2, 3)\n"
        "    def forward(self, x):\n        return super().forward(x).mean(dim=(2, 3))\n",
        "utf-8",
    )
    plain = run((f"{file}:Net", model[1]), tiny, tmp_path / "a")[0]
    compiled = run((f"{file}:Net", model[1]), tiny, tmp_path / "b", compiled=True)[0]
    assert np.allclose(plain.scores["score"], compiled.scores["score"], equal_nan=True)
    assert (plain.result.options.get("compiled"), compiled.result.options["compiled"]) == (None, True)
    assert plain.result.run_id != compiled.result.run_id
    monkeypatch.setattr(inference, "COMPILER", "no such backend")
    with pytest.raises(SetupError, match="cannot be compiled"):
        run((f"{file}:Net", model[1]), tiny, tmp_path / "c", compiled=True)


def test_damaged_parts_are_scored_again(tmp_path: Path) -> None:
    parts = LogitParts(tmp_path / "parts")
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    for start in (0, 2, 4):
        parts.add(values[start : start + 2])
    assert np.array_equal(LogitParts(tmp_path / "parts").load(), values)
    (tmp_path / "parts" / "2.npy").write_bytes(b"\x93NUMPY")
    again = LogitParts(tmp_path / "parts")
    assert np.array_equal(again.load(), values[:2])
    again.add(values[2:4])
    assert np.array_equal(LogitParts(tmp_path / "parts").load(), values)
    parts.clear()
    assert LogitParts(tmp_path / "parts").load().shape == (0, 0)
