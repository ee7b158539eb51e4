"""``dfbench degrade``, ``list degradations`` and conditions on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import dfbench
from dfbench.cli.main import run_command
from dfbench.cli.options import parse_media_roots
from dfbench.degrade import degradation_names, get_degradation, parse
from dfbench.errors import UsageError
from dfbench.evaluation.conditions import source_notes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def manifest(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("m") / "source"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "2", "--workers", "1", "-q"]
    assert run_command(words) == 0
    return out


def test_degrade_prints_condition_and_place(
    manifest: Path, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d"
    words = [
        "degrade",
        str(manifest),
        "--condition",
        "h264:crf=38",
        "--root",
        str(tree),
        "--out",
        str(out),
        "--workers",
        "1",
    ]
    assert run_command(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(out)
    assert "h264:crf=38@clip" in said[-2]
    assert run_command(["inspect", str(out)]) == 0
    assert "condition of the crops: h264:crf=38@clip" in capsys.readouterr().out
    assert run_command(["verify", str(out)]) == 0
    direct = tmp_path / "p"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(direct), "--frames", "2", "--workers", "1", "-q"]
    assert run_command([*words, "--condition", "h264:crf=38@clip"]) == 0
    columns = ["sample_id", "sha256_128", "sha256_224"]
    mine, other = (dfbench.open_manifest(path).to_pandas(columns) for path in (out, direct))
    assert mine.equals(other)


@pytest.mark.parametrize(
    ("condition", "code", "error", "hint"),
    [
        ("jpg:q=60", 2, "unknown degradation 'jpg'", "did you mean 'jpeg'"),
        ("jpeg:q=101", 2, "out of range", "from 1 to 100"),
        ("mean:k=4", 2, "out of range", "an odd number"),
        ("ME5@video", 2, "unknown stage 'video'", "source"),
        ("ME5@source", 3, "needs the media of 'ff++'", "--root"),
    ],
)
def test_bad_conditions(
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    condition: str,
    code: int,
    error: str,
    hint: str,
) -> None:
    monkeypatch.setenv("DFBENCH_ROOTS", "")
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run_command(["degrade", str(manifest), "--condition", condition, "--out", "d"]) == code
    said = capsys.readouterr().err
    assert error in said
    assert hint in said
    assert not (tmp_path / "d").exists()
    if code == 2:  # said before anything is generated or trained
        for command in ("evaluate", "train"):
            assert run_command([command, "--model", "meso4", "--condition", condition]) == 2
            assert error in capsys.readouterr().err
        assert run_command(["prepare", "ff++", "--root", "nowhere", "--condition", condition]) == 2
        assert not (tmp_path / "home").exists()


def test_unknown_suite(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    assert run_command(["evaluate", "--model", "meso4", "--suite", "robustness/v9"]) == 2
    assert "did you mean 'robustness/v1'" in capsys.readouterr().err


def test_list_degradations_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["list", "degradations", "--long"]) == 0
    said = capsys.readouterr().out
    for name in degradation_names():
        line = next(line for line in said.splitlines() if line.startswith(f"{name} "))
        assert get_degradation(name).source in line
        for parameter in get_degradation(name).parameters:
            assert parameter.range in line
    assert run_command(["list", "conditions"]) == 0
    assert "JP60  jpeg:q=60" in capsys.readouterr().out
    assert run_command(["list", "suites"]) == 0
    assert "robustness/v1" in capsys.readouterr().out


def test_roots_by_data_set() -> None:
    assert parse_media_roots(["dfdc=/data/dfdc", "ff++=/data/a=b"], ["ff++", "dfdc"]) == {
        "dfdc": "/data/dfdc",
        "ff++": "/data/a=b",
    }
    assert parse_media_roots(["/data/a=b"], ["ff++"]) == {"ff++": "/data/a=b"}
    with pytest.raises(UsageError, match="does not say of which data set"):
        parse_media_roots(["/data"], ["ff++", "dfdc"])


def test_whoever_degrades_whole_frames_is_told_how_mild_that_is(capsys: pytest.CaptureFixture[str]) -> None:
    conditions = [parse(text) for text in ("JP60", "JP60@source", "gaussian-noise@source", "h264:crf=40@clip")]
    notes = source_notes(conditions)
    assert list(notes) == ["JP60@source"]
    assert "much milder" in notes["JP60@source"]
    assert "HFF" in notes["JP60@source"]
    assert run_command(["list", "degradations", "--long"]) == 0
    said = capsys.readouterr().out
    assert f"severities are {get_degradation('jpeg').rule}. {get_degradation('jpeg').note}" in said
