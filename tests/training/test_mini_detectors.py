"""The script of the results table takes only runs that belong together, resumes after a stop, and names no winner."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest
from loading import load_file

from dfbench.manifest.manifest import open_manifest
from dfbench.metrics import SeedDifference
from dfbench.protocols.files import load_protocol


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    return load_file("benchmarks/mini_detectors_page.py", "mini_detectors_page")


@pytest.fixture(scope="module")
def script(pages: ModuleType) -> ModuleType:
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


def test_the_page(pages: ModuleType) -> None:
    lines = []
    for seed, value in ((7, 0.5), (8, 0.7)):
        values = {f"{m} {s}": pages.Value(value, 0.4, None) for m in pages.TITLES for s in ("c23", "c40")}
        values["auc c23"] = pages.Value(value, 0.4, 0.8)
        lines.append(pages.Line("meso4", seed, 3, 0.61, 1.5, values))
    videos = {"c23": (40, 160), "c40": (40, 160)}
    setting = pages.Setting(load_protocol("mini"), 550917, "cpu", videos, ("Seed 3, before.",))
    text = pages.page(lines, setting, SeedDifference(0.0312, 0.02, 0.01, 20.0, 0.1754, (5, 5)))
    assert "no ground for ranking" in text
    assert "mini seed 550917" in text
    assert "Earlier measurement: Seed 3, before." in text
    assert "accuracy of 0.800" in text
    assert "| meso4 | 2 | 0.600 (0.500-0.700) |" in text
    assert "| meso4 | 8 | 3 | 0.610 | 0.700 (0.400-0.800) | 0.700 (no interval) |" in text
    assert "+0.031, standard error 0.020 over scene groups and 0.010 over trainings, p = 0.175" in text
    assert "backbone" not in pages.page(lines, setting)


def test_best_balanced_accuracy_is_that_of_the_best_threshold(script: ModuleType) -> None:
    frames = [("a", 0, 0.1), ("a", 0, 0.5), ("b", 0, 0.6), ("c", 1, 0.2), ("c", 1, 0.6), ("d", 1, 0.9), ("e", 1, None)]
    columns = {"media_id": [f[0] for f in frames], "label": [f[1] for f in frames], "score": [f[2] for f in frames]}
    table = pa.table(columns | {"subset": ["c23"] * len(frames)})
    # Means: a 0.3, b 0.6 real; c 0.4, d 0.9 fake. Above 0.6 or above 0.3: one of four is wrong.
    assert script.best_balanced_accuracy(table, "c23") == 0.75
