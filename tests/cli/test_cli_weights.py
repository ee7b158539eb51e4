"""``dfbench weights``: import, show and sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dfbench.cli.main import run_command
from dfbench.models.build import build_model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "own.pth"
    torch.save({"model": build_model("meso4", 2, 64).state_dict(), "epoch": 3}, path)
    return path


def test_import_then_show(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name("w.safetensors")
    words = ["weights", "import", str(file), "--model", "meso4", "--source", "native", "--out", str(out)]
    words += ["--profile", "box", "--size", "64", "--licence", "mine", "--option", "normalization=half"]
    assert run_command(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(out)
    assert "source: native (32 tensors)" in said
    assert "polarity: real=0, fake=1" in said
    assert run_command(["weights", "show", str(out)]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["profile"], card["licence"], card["options"]) == (
        "box",
        "mine",
        {"binary_outputs": 2, "normalization": "half"},
    )


def test_a_damaged_file_is_exit_4(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes()[:1000])
    assert run_command(["weights", "import", str(file), "--model", "meso4"]) == 4
    said = capsys.readouterr().err
    assert "truncated" in said
    assert "hint:" in said


def test_weights_without_a_card_name_the_import(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", "--model", "meso4", "--weights", str(file)]) == 4
    assert "dfbench weights import own.pth" in capsys.readouterr().err


def test_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["weights", "sources"]) == 0
    said = capsys.readouterr().out
    for name in ("deepfakebench", "faceforensics", "capsule-forensics-v2", "mesonet", "sbi", "dfb256"):
        assert name in said
