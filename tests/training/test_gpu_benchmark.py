"""The benchmark for a GPU runs on a CPU too, at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from loading import load_file


@pytest.mark.slow
def test_a_quick_run_measures_every_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = load_file("benchmarks/gpu.py", "gpu_benchmark")
    files = ["--json", str(tmp_path / "f.json"), "--page", str(tmp_path / "f.md")]
    figures = benchmark.main(["--quick", "--device", "cpu", *files])
    assert json.loads((tmp_path / "f.json").read_text("utf-8")) == figures
    assert set(figures["sizes"]) == {"64"}
    assert all(value > 0 for found in figures["sizes"].values() for value in found.values())
    assert "| grnet training loader |" in (tmp_path / "f.md").read_text("utf-8")
    assert "skipped" not in capsys.readouterr().out
    late = benchmark.Rate(torch.device("cpu"), benchmark.Scale((64,), 2, 0.01, 8), budget=0.0)
    assert late("an arm", lambda: 1) is None
    assert "an arm: skipped" in capsys.readouterr().out
