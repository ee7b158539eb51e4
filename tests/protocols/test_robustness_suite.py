"""``robustness/v1`` end to end: FF++'s layout, every condition, a tiny detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfbench.degrade import suite
from dfbench.mini import MiniSettings, generate
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol
from dfbench.workflow import evaluate


@pytest.mark.slow
def test_the_suite_runs_on_clips_in_the_layout_of_its_data_set(tmp_path: Path, detector: str) -> None:
    settings = MiniSettings(
        train_pairs=0,
        val_pairs=0,
        test_pairs=1,
        frames=(4, 4),
        subsets=("c23",),
        manipulations=("Deepfakes",),
    )
    root = generate(tmp_path / "tree", settings, workers=1, quiet=True)
    manifest = prepare("ff++", root, tmp_path / "m", protocol="robustness/v1", workers=1, quiet=True)
    run = evaluate(detector, "robustness/v1", [manifest.path], out=tmp_path / "run", roots={"ff++": root}, quiet=True)
    conditions = {c.name for c in suite("robustness/v1")} | {"clean"}
    assert set(run.scores_table["condition"].unique().to_pylist()) == conditions - set(run.result.unavailable)
    assert {m.name for m in run.result.metrics} == set(load_protocol("robustness/v1").metrics.names)
    assert all(m.value is not None for m in run.result.metrics)
    assert {r.name for r in run.result.robustness} == set(load_protocol("robustness/v1").metrics.names)
    assert all(r.worst is not None and r.interval_note for r in run.result.robustness)  # two scene groups: no intervals
