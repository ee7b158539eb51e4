"""The detector of docs/your-own-detector.md: trained and evaluated through the command line as the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfbench.cli.main import run_command
from dfbench.config import manifests_home
from dfbench.evaluation.run import open_run
from dfbench.mini import MiniSettings
from dfbench.preparation.prepare import prepare
from dfbench.protocols.files import load_protocol

PAGE = Path(__file__).parents[2] / "docs" / "your-own-detector.md"


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    blocks = re.findall(r"```python\n(# my_detector\.py\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) <= 20
    file = tmp_path / "my_detector.py"
    file.write_text(blocks[0], "utf-8")
    return file


@pytest.mark.slow
def test_the_page_as_printed(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page, word by word, in a workspace whose mini data set is a few clips."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFBENCH_HOME", raising=False)
    few = MiniSettings(train_pairs=1, val_pairs=1, test_pairs=1, frames=(8, 9), manipulations=("Deepfakes",))
    prepare("mini", "data", manifests_home() / "mini", protocol=load_protocol("mini"), mini=few, workers=1, quiet=True)
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    commands = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    assert [words[:2] for words in commands] == [["dfbench", name] for name in ("train", "evaluate", "score")]
    shutil.copy(next(Path("data").rglob("*.mp4")), "clip.mp4")
    printed = []
    for words in commands:
        assert run_command(words[1:]) == 0
        printed.append(capsys.readouterr().out)
    assert "mine.safetensors" in printed[0]
    assert "my-detector.mydetector" in printed[1]
    (result,) = (tmp_path / "runs").glob("*/result.json")
    assert Path(printed[1].splitlines()[-1]).resolve() == result
    assert "clip.mp4" in printed[2]


def test_train_and_evaluate(
    tiny: SimpleNamespace, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [
        "--model",
        f"{detector}:MyDetector",
        "--protocol",
        str(tiny.protocol),
        "--manifest",
        str(tiny.manifest),
        "-q",
    ]
    weights = tmp_path / "mine.safetensors"
    assert run_command(["train", *common, "--out", str(weights), "--option", "width=8"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(weights)
    out = tmp_path / "run"
    assert run_command(["evaluate", *common, "--weights", str(weights), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(out / "result.json")
    assert "my-detector.mydetector" in printed


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["evaluate", "--model", "grnett"], 2, "did you mean 'grnet'"),
        (["evaluate", "--model", "grnet", "--protocol", "minni"], 2, "mini"),
        (["evaluate", "--model", "grnet", "--device", "tpu"], 2, "unknown device"),
        (["evaluate", "--model", "grnet", "--precision", "fp8"], 2, "unknown precision"),
        (["evaluate", "--model", "grnet", "--weights", "nowhere.safetensors"], 4, "there are no weights"),
        (["evaluate", "--model", "grnet", "--manifest", "nowhere"], 3, "no manifest folder nowhere"),
        (["train", "--model", "grnet", "--option", "radus=3"], 2, "did you mean 'radius'"),
        (["train", "--model", "grnet", "--option", "radius"], 2, "name=value"),
        (
            ["train", "--model", "grnet", "--option", "stream_heads=maybe"],
            2,
            "stream_heads of grnet takes true",
        ),
        (["train", "--model", "grnet", "--lr", "nan"], 2, "lr must be above 0 and finite"),
        (["train", "--model", "nowhere.py:Net"], 2, "no file nowhere.py"),
    ],
)
def test_everything_is_checked_before_anything_is_made(
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(words) == code
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("error: ")
    assert "hint: " in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_wrong_shape_ends_the_command_before_anything_is_made(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wide.py").write_text(
        "from torch import nn\nclass Wide(nn.Module):\n    def forward(self, x):\n        return x.mean(dim=(2, 3))\n",
        "utf-8",
    )
    assert run_command([command, "--model", "wide.py:Wide"]) == 4
    assert "returns 3 logits per image, the task has 2 classes" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir() if p.name != "__pycache__"] == ["wide.py"]


ENDS = {
    "softmax": "self.head(images.mean(dim=(2, 3))).softmax(1)",
    "sigmoid": "torch.sigmoid(self.head(images.mean(dim=(2, 3)))[:, 1])",
}


@pytest.mark.parametrize("end", ENDS)
def test_probabilities_are_reported_and_can_be_declared(
    end: str, tiny: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(3, 2)\n"
        f"    def forward(self, images):\n        return {ENDS[end]}\n"
    )
    runs = {}
    for name, more in (("silent", ""), ("declared", "    outputs_probabilities = True\n")):
        (tmp_path / f"{name}.py").write_text(code + more, "utf-8")
        words = ["evaluate", "--model", f"{tmp_path / name}.py:Net", "--protocol", str(tiny.protocol)]
        words += ["--manifest", str(tiny.manifest), "--device", "cpu", "--out", str(tmp_path / name)]
        assert run_command(words) == 0
        shown = capsys.readouterr()
        runs[name] = open_run(tmp_path / name)
        reported = f"its last operation is a {end}" in shown.err
        assert reported == (name == "silent")
        assert any("look like probabilities" in text for text in runs[name].result.warnings) == reported
    sides = {name: run.scores_table["score"].drop_null().to_numpy() for name, run in runs.items()}
    assert sides["silent"].min() > 0.26 if end == "softmax" else sides["silent"].min() >= 0.5
    assert sides["declared"].std() > 2 * sides["silent"].std()
