"""The script of the results table takes only runs that belong together, resumes after a stop, and names no winner."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from loading import load_file
from run_folders import scores_table

from dfbench.manifest.manifest import open_manifest
from dfbench.metrics import SeedDifference, compute_metrics
from dfbench.protocols.files import load_protocol


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    return load_file("benchmarks/mini_detectors_page.py", "mini_detectors_page")


@pytest.fixture(scope="module")
def records(pages: ModuleType) -> ModuleType:
    return load_file("benchmarks/mini_detectors_records.py", "mini_detectors_records")


@pytest.fixture(scope="module")
def script(records: ModuleType) -> ModuleType:
    return load_file("benchmarks/mini_runs.py", "mini_runs")


@pytest.mark.slow
def test_runs_once_and_keeps_a_record(
    script: ModuleType, pages: ModuleType, records: ModuleType, tiny: SimpleNamespace, tmp_path: Path
) -> None:
    manifest = open_manifest(tiny.manifest)
    wanted = [*pages.METRICS.values(), "auc.frame"]
    text = re.sub(r"(?m)^names = .*", f"names = {json.dumps(wanted)}", tiny.protocol.read_text("utf-8"))
    protocol = tmp_path / tiny.protocol.name
    protocol.write_text(text, "utf-8")
    rules = load_protocol(protocol)
    store = records.Records(tmp_path / "records")

    def bench(work: str, manifest_hash: str = manifest.info.hash, recipe: str = "recipe") -> Any:
        place, name = tmp_path / work, str(protocol)
        return script.Bench(place, rules, name, manifest.path, manifest_hash, recipe, "cpu", False, store)

    seven, eight = script.Training("meso4", 7), script.Training("meso4", 8)
    first = bench("first")
    assert script.run(first, seven) == ""
    made = first.result(seven)
    assert made is not None
    assert not first.weights(seven).exists()
    assert script.run(first, seven) == ""
    again = first.result(seven)
    assert again is not None
    assert again.started == made.started, "a finished run is taken as it is"
    assert first.result(eight) is None
    assert bench("first", "another").result(seven) is None, "a run on another manifest is not taken"
    assert "ended with" in script.run(first, script.Training("grnett", 7))

    elsewhere = bench("second", "another")
    assert script.run(elsewhere, seven) == "", "another machine takes the record"
    assert not (tmp_path / "second").exists()
    assert elsewhere.record(seven).line == script.read_line(first, seven)
    assert bench("second", recipe="other data").record(seven) is None
    compared = script.Training("meso4", 7, compared=True)
    assert elsewhere.record(compared) is None, "a record without scores is none where they are compared"
    assert first.record(compared).scores is not None
    longer = script.Training("meso4", 7, "rfm", ("--method-option", "blocks=1", "--epochs", "1"))
    assert longer.name == "meso4-rfm"
    assert first.record(longer) is None
    assert script.run(first, longer) == ""
    assert {m.training_method for m in first.result(longer).metrics} == {"rfm blocks=1"}


def test_video_scores_give_the_metrics_of_the_frames(records: ModuleType, tmp_path: Path) -> None:
    table = scores_table(pairs=12, frames=3)
    videos = records.video_scores(table, "c23")
    assert len(videos) == 12 * 10
    names = ["auc.video.mean", "eer.video.mean"]
    frames = table.filter(pc.equal(table["subset"], "c23"))
    whole, short = (compute_metrics(t, names, per_manipulation=False) for t in (frames, videos))
    assert [(m.value, m.low, m.high) for m in short] == [(m.value, m.low, m.high) for m in whole]
    identity = {"model": "grnet", "seed": 3}
    store, line = records.Records(tmp_path), records.Line("grnet", 3, 2, None, 1.5, {})
    store.write(records.Record(identity, "m", line, {"c23": (12, 12)}, videos))
    found = store.read(identity)
    assert found.scores.equals(videos)
    assert (found.line, found.videos) == (line, {"c23": (12, 12)})
    (tmp_path / "grnet-seed3.parquet").unlink()
    assert store.read(identity) is None


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


def test_the_page_of_methods(pages: ModuleType) -> None:
    methods = load_file("benchmarks/mini_methods_page.py", "mini_methods_page")

    def line(model: str, seed: int, auc: float) -> Any:
        values = {f"auc {subset}": pages.Value(auc, 0.4, 0.9) for subset in ("c23", "c40")}
        return pages.Line(model, seed, 2, 0.7, 3.0, values)

    own, plain = ([line(m, seed, 0.6 + seed / 100) for seed in (7, 8)] for m in ("xception-rfm", "xception"))
    against = SeedDifference(0.02, 0.03, 0.04, 10.0, 0.7, (2, 2))
    # Student's t with 10 degrees of freedom: 2.2281 at 97.5 %; errors of 0.03 and 0.04 give 0.05.
    assert methods.interval(against) == pytest.approx((0.02 - 2.2281 * 0.05, 0.02 + 2.2281 * 0.05), abs=1e-5)
    text = methods.page([methods.Comparison("rfm", own, plain, against, (0.61, 0.72))], load_protocol("mini"), 5, "cpu")
    cells = [
        "xception-rfm",
        "0.675 (0.670-0.680)",
        "0.610 to 0.720",
        "xception",
        "0.675 (0.670-0.680)",
        "2",
        "+0.020 (-0.091 to +0.131)",
    ]
    assert f"| {' | '.join(cells)} | 0.700 |" in text
    assert "| xception | 8 | 2 | 0.700 | 0.680 (0.400-0.900) | 0.680 (0.400-0.900) | 3.0 |" in text
    assert "no ground for ranking" in text
