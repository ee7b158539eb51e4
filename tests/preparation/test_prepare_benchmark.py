"""The speed measurement runs: tiny clips, one repetition; its figures mean nothing then, but are all there."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "prepare.py"


@pytest.mark.slow
def test_quick(tmp_path):
    words = ["--quick", "--work", str(tmp_path / "work"), "--json", str(tmp_path / "figures.json")]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert "note:" not in done.stdout  # every arm found every face
    against_peers = {"ratio_own", "ratio_shared"}
    measured = {"floor_own", "floor_shared", "ratio_workers", "peak_mb"}
    if find_spec("dlib") is not None and find_spec("face_recognition_models") is not None:
        measured |= against_peers
    else:
        assert all(figures[name] is None for name in against_peers)
    assert all(figures[name] > 0 for name in measured)
    assert figures["floor_own"] > 1
    assert 100 < figures["peak_mb"] < 1500
