"""The examples run as written, in an empty folder, and print what they promise."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "examples"

pytest.importorskip("torch", reason="the extra models is not installed")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples: the first prepares the few clips, the others find them."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run a script as a user would and return what it prints."""
    monkeypatch.chdir(workspace)
    for name in ("DFBENCH_HOME", "DFBENCH_ROOTS"):
        monkeypatch.delenv(name, raising=False)

    def call(name: str) -> str:
        monkeypatch.setattr("sys.argv", [name])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return call


def run_notebook(file: Path) -> dict[str, Any]:
    """Execute the code cells in one namespace, without a kernel."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(file.read_text("utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{file.name}, cell {number}", "exec"), names)
    return names


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text("utf-8")
    for file in EXAMPLES.iterdir():
        if file.suffix in (".py", ".ipynb"):
            assert f'"{file.name}"' in text, file.name


def test_intervals_on_arrays(run: Callable[[str], str]) -> None:
    out = run("intervals_on_arrays.py")
    first, second = map(float, re.findall(r"^frame AUC +(\S+) +(\S+)", out, re.M)[0])
    assert 0.5 < first < second < 1
    by_videos, by_frames = (
        tuple(map(float, re.findall(rf"^by {unit} +(\S+) \[(\S+), (\S+)\]", out, re.M)[0]))
        for unit in ("videos", "frames")
    )
    assert by_videos[0] == by_frames[0] == first
    assert by_videos[2] - by_videos[1] > 2 * (by_frames[2] - by_frames[1])
    intervals = re.findall(r"video AUC (\S+), 95 % interval (\S+) to (\S+)", out)
    assert len(intervals) == 2
    for value, low, high in (tuple(map(float, found)) for found in intervals):
        assert low < value < high


@pytest.mark.slow
def test_evaluate_your_detector(run: Callable[[str], str], workspace: Path) -> None:
    out = run("evaluate_your_detector.py")
    # frame AUC, video AUC and video EER, for c23 and c40
    values = re.findall(r"^(?:auc|eer)\.\S+ +c\d\d +(\d\.\d{3})", out, re.M)
    assert len(values) == 6
    assert all(0 <= float(value) <= 1 for value in values)
    assert (workspace / "dfbench-example" / "run" / "result.json").is_file()


@pytest.mark.slow
def test_read_a_manifest(run: Callable[[str], str], workspace: Path) -> None:
    out = run("read_a_manifest.py")
    assert re.search(r"test +fake +Deepfakes +ok +64\b", out)  # 2 pairs, 2 fakes each, 2 subsets, 8 frames
    assert re.search(r"^shard-00000.parquet: mini/\S+, label [01], PNG \(128, 128\)$", out, re.M)
    assert (workspace / "contact-sheet.png").is_file()


@pytest.mark.slow
def test_the_notebook(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = run_notebook(EXAMPLES / "robustness.ipynb")
    assert list(names["table"].columns) == ["c23", "c40"]
    assert len(names["table"]) == 4
    assert names["table"].notna().all(axis=None)
    assert len(names["figure"].axes) == 4


def test_the_notebook_is_stored_without_outputs() -> None:
    for cell in json.loads((EXAMPLES / "robustness.ipynb").read_text("utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
