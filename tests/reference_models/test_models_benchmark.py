"""The speed measurement runs, with tiny images and two rounds; the figures mean nothing, but all of them exist."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from loading import load_file

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "models.py"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "narrow", "size"), [("mat", "", 96), ("diffusionfake", "resnet18", 32)])
def test_a_step_of_a_method(name: str, narrow: str, size: int) -> None:
    pairs = load_file("benchmarks/method_pairs.py", "method_pairs").PAIRS
    load_file("benchmarks/timing.py", "timing")
    steps = load_file("benchmarks/method_steps.py", "method_steps")
    # In place of EfficientNet-B4, whose 1792 channels take long.
    pair = replace(pairs[name], model=narrow, backbone=narrow) if narrow else pairs[name]
    (row,) = steps.measure_methods({name: pair}, 32, 2, 0, torch.device("cpu")).values()
    assert row["size"] == size
    assert row["ratio"] == row["method"] / row["plain"] > 0


@pytest.mark.slow
def test_quick(tmp_path: Path) -> None:
    words = ["--quick", "--device", "cpu", "--json", str(tmp_path / "f.json"), "--models", "grnet", "meso4", "mislnet"]
    words += ["--methods", "rfm"]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["grnet_over_two_backbones"] > 0.5
    assert 0 < figures["residual_over_two_backbones"] < figures["grnet_over_two_backbones"] + 1
    assert figures["gpu"] is None
    for radius in (2, 4, 8, 16):
        ways = figures["window_sums"][f"radius_{radius}"]
        assert set(ways) == {"shifted_adds", "average_pooling", "cumulative_sums"}
        assert all(0 <= way["largest_error"] < 2e-2 for way in ways.values())  # of sums up to 33 x 33
        assert ways["shifted_adds"]["ratio"] == 1
    assert set(figures["detectors"]) == {"grnet", "meso4", "mislnet"}
    assert set(figures["methods"]) == {"rfm"}
    for row in figures["methods"].values():
        assert row["ratio"] == row["method"] / row["plain"] > 0
    for name, row in figures["detectors"].items():
        assert row["forward_per_second"] > 0
        assert row["train_per_second"] > 0
        assert (row["forward_over_backbone"] is None) == (row["train_over_backbone"] is None) == (name == "meso4")
