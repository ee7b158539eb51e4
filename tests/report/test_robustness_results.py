"""The script of the committed robustness results: what its page says, and that finished runs are not made again."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyarrow.compute as pc
import pytest
import run_folders
from loading import load_file

from dfbench.evaluation.run import open_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_file("benchmarks/robustness.py", "robustness_results")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A detector that tells fakes, and one that does not."""
    work = tmp_path_factory.mktemp("results")
    made = []
    for model, gap in (("grnet", 2.0), ("meso4", 0.0)):
        scores = run_folders.scores_table(model, f"run-{model}", frames=2, gap=gap)
        clean = scores.filter(pc.equal(scores["subset"], "c23"))
        folder = work / "runs" / model
        made.append(run_folders.suite_run(folder, model, f"run-{model}", 0.8, clean))
    return made


def test_files_hold_every_detector_and_condition(script: ModuleType, folders: list[Path], tmp_path: Path) -> None:
    runs = open_runs(folders)
    script.write(tmp_path, runs)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["robustness.csv", "robustness.md", "robustness.svg"]
    lines = list(csv.DictReader((tmp_path / "robustness.csv").open(encoding="utf-8")))
    assert len(lines) == 2 * 2 * len(run_folders.CONDITIONS)
    page = (tmp_path / "robustness.md").read_text("utf-8")
    for run in runs:
        for found in run.result.robustness:
            assert f"| {run.label} | mini/c23 | {found.name} | {100 * found.value:.1f} |" in page
    assert page.count("no ground for ranking detectors") == 1
    figure = (tmp_path / "robustness.svg").read_text("utf-8")
    assert "invented faces" in figure
    assert "currentColor" not in figure


def test_the_page_says_who_has_nothing_to_lose(script: ModuleType, folders: list[Path]) -> None:
    page = script.page(open_runs(folders))
    assert "meso4 does not tell real from fake on clean crops" in page
    assert "grnet does not tell" not in page
    assert "40 real and 160 fake videos" in page
    assert "an accuracy of 80.0 at best" in page


def test_finished_runs_are_not_made_again(
    script: ModuleType, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, done = folders[0].parents[1], []
    monkeypatch.setattr(script, "prepare", lambda *_, **__: SimpleNamespace(path=work / "manifest"))
    monkeypatch.setattr(script, "train", lambda name, *_, **__: done.append(f"train {name}"))
    monkeypatch.setattr(script, "evaluate", lambda name, *_, **__: done.append(f"evaluate {name}"))
    found = script.make_runs(work, 1, "cpu")
    assert [folder.name for folder in found] == list(script.DETECTORS)
    assert done == ["train resnet18", "evaluate resnet18"]
