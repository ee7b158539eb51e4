"""The script of the results table takes only runs that belong together, resumes after a stop, and names no winner."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from loading import load_file

from dfbench.manifest.manifest import open_manifest
from dfbench.protocols.files import load_protocol


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_file("benchmarks/mini_detectors.py", "mini_detectors")


@pytest.mark.slow
def test_runs_once_and_writes_the_page(script: ModuleType, tiny: SimpleNamespace, tmp_path: Path) -> None:
    manifest = open_manifest(tiny.manifest)
    rules = load_protocol(tiny.protocol)
    bench = script.Bench(tmp_path, rules, str(tiny.protocol), manifest.path, manifest.info.hash, "cpu", False)
    assert script.run(bench, "meso4", 7) == ""
    first = bench.result("meso4", 7)
    assert first is not None
    assert not bench.weights("meso4", 7).exists()
    assert script.run(bench, "meso4", 7) == ""
    again = bench.result("meso4", 7)
    assert again is not None
    assert again.started == first.started, "a finished run is taken as it is"
    assert bench.result("meso4", 8) is None
    other = script.Bench(tmp_path, rules, str(tiny.protocol), manifest.path, "another", "cpu", False)
    assert other.result("meso4", 7) is None, "a run on another manifest is not taken"
    assert "ended with" in script.run(bench, "grnett", 7)


def test_the_page(script: ModuleType, tmp_path: Path) -> None:
    bench = script.Bench(tmp_path, load_protocol("mini"), "mini", tmp_path, "hash", "cpu", False)
    lines = []
    for seed, value in ((7, 0.5), (8, 0.7)):
        values = {f"{m} {s}": script.Value(value, 0.4, None) for m in script.METRICS for s in ("c23", "c40")}
        values["auc c23"] = script.Value(value, 0.4, 0.8)
        lines.append(script.Line("meso4", seed, 3, 0.61, 1.5, values))
    text = script.page(lines, bench, {"c23": (40, 160), "c40": (40, 160)})
    assert "no ground for ranking" in text
    assert "accuracy of 0.800" in text
    assert "| meso4 | 0.600 (0.500-0.700) |" in text
    assert "| meso4 | 8 | 3 | 0.610 | 0.700 (0.400-0.800) | 0.700 (no interval) |" in text
