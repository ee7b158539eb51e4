"""``dfbench recrop`` on the command line, and what prepare says of approximate profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

import dfbench
from dfbench.cli.main import run_command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def with_patches(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("m") / "source"
    words = [
        "prepare",
        "ff++",
        "--root",
        str(tree),
        "--out",
        str(out),
        "--frames",
        "2",
        "--workers",
        "1",
        "--patch",
        "-q",
    ]
    assert run_command(words) == 0
    return out


def test_recrop_names_the_manifest_it_made(
    with_patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small"
    assert run_command(["recrop", str(with_patches), "--size", "64", "--out", str(out), "--workers", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(out)
    assert "crop profile native, sizes 64" in said[-2]
    assert run_command(["verify", str(out)]) == 0
    made = dfbench.open_manifest(out)
    assert made.info.sizes == (64,)
    assert (made.to_pandas()["status"] == "ok").all()


def test_errors_name_the_next_step(
    with_patches: Path, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["recrop", str(with_patches), "--profile", "nativ", "--out", str(tmp_path / "x")]) == 2
    assert "did you mean 'native'" in capsys.readouterr().err
    assert run_command(["recrop", str(with_patches)]) == 2
    plain = tmp_path / "plain"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(plain), "--frames", "1", "--workers", "1", "-q"]
    assert run_command(words) == 0
    capsys.readouterr()
    assert run_command(["recrop", str(plain), "--out", str(tmp_path / "x")]) == 3
    assert "--patch" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_an_approximate_profile_is_called_so(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DFBENCH_DLIB_PREDICTOR", raising=False)
    out = tmp_path / "dfb"
    words = ["prepare", "ff++", "--root", str(tree), "--out", str(out), "--frames", "1", "--profile", "dfb256"]
    assert run_command([*words, "--workers", "1", "--face-detector", "centerface"]) == 0
    assert "dfb256~ is approximate" in capsys.readouterr().out
    info = dfbench.open_manifest(out).info
    assert (info.profile, info.sizes, info.recipe["profile"]) == ("dfb256~", (256,), "dfb256~")
    assert run_command(["inspect", str(out)]) == 0
    assert "dfb256~" in capsys.readouterr().out


def test_options_that_exclude_each_other(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["prepare", "ff++", "--root", str(tree), "--out", str(tmp_path / "m")]
    for words, said in (
        (["--face-model", "/some/pack"], "requires the face detector insightface"),
        (["--decoder", "opencv"], "unknown decoder"),
        (["--device", "tpu"], "unknown device"),
        (["--landmarks", "none-such"], "unknown landmark provider"),
        (["--landmark-model", "/some/file.tflite"], "--landmark-model requires"),
    ):
        assert run_command([*base, *words]) == 2
        assert said in capsys.readouterr().err
    assert run_command([*base, "--face-detector", "insightface", "--face-model", str(tmp_path)]) == 5
    assert run_command([*base, "--landmarks", "mediapipe", "--landmark-model", str(tmp_path / "none.tflite")]) == 5
    assert "cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
