"""Training and evaluation from an object store: the weights and scores are those of the same files on disk."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from s3_server import names, put_tree

from dfbench.cli.main import run_command
from dfbench.evaluation.run import open_run
from dfbench.models.weights import read_state
from dfbench.storage import as_path
from dfbench.workflow import evaluate, train

pytestmark = pytest.mark.slow


def test_training_and_evaluation_from_a_store(
    tiny: SimpleNamespace, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = put_tree(Path(tiny.manifest), f"{bucket}/sets/{Path(tiny.manifest).name}")
    fixed = {"device": "cpu", "quiet": True}
    short = fixed | {"epochs": 1}
    here = train("meso4", tiny.protocol, [tiny.manifest], out=tmp_path / "here.safetensors", **short)
    there = train("meso4", tiny.protocol, [manifest], out=f"{bucket}/weights/there.safetensors", **short)
    assert names(f"{bucket}/weights") == [f"there.{end}" for end in ("curve.csv", "curve.svg", "json", "safetensors")]
    one, two = read_state(here), read_state(there)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())

    on_disk = evaluate("meso4", tiny.protocol, [tiny.manifest], weights=here, out=tmp_path / "run", **fixed)
    out = f"{bucket}/runs/one"
    words = ["evaluate", "--model", "meso4", "--protocol", str(tiny.protocol), "--manifest", manifest, "--out", out]
    assert run_command([*words, "--weights", str(there), "--device", "cpu", "--quiet", "--workers", "1"]) == 0
    stored = open_run(out)
    assert stored.scores["score"].equals(on_disk.scores["score"])
    assert stored.metrics["value"].equals(on_disk.metrics["value"])
    assert names(out) == sorted(file.name for file in (tmp_path / "run").iterdir())
    assert open_run(as_path(out)).result == stored.result
