"""Every option that names an output is checked before any work."""

from __future__ import annotations

import io
import sys

import click
import pytest

from dfbench.cli.main import COMMANDS, cli, main, run_command

TOO_LONG = "n" * 250 + "{}"


@pytest.mark.parametrize(
    "words",
    [
        ["table", "grnet-5", "--out", TOO_LONG.format(".table.tex")],
        ["train", "--model", "meso4", "--protocol", "mini", "--out", TOO_LONG.format(".safetensors")],
        ["weights", "import", "w.pth", "--model", "meso4", "--out", TOO_LONG.format(".safetensors")],
        ["import", "scores", "s.csv", "--out", TOO_LONG.format("-folder")],
        ["evaluate", "--model", "meso4", "--protocol", "mini", "--out", TOO_LONG.format("-folder")],
        ["explain", "--model", "meso4", "--protocol", "mini", "--out", TOO_LONG.format("-folder")],
        ["prepare", "mini", "--out", TOO_LONG.format("-folder")],
        ["demo", "--out", TOO_LONG.format("-folder")],
    ],
    ids=lambda words: words[0],
)
def test_an_impossible_output_is_found_before_the_work(words, tmp_path, monkeypatch, capsys):
    """In a folder that does not exist yet, below which the system looks at no name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text("media_id,label,score\na,0,0.1\n")
    (tmp_path / "w.pth").write_bytes(b"no weights")
    before = sorted(tmp_path.rglob("*"))
    words = [*words[:-1], f"missing/{words[-1]}"]
    assert run_command(words) in (2, 5)
    assert "File name too long" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_no_option_for_an_output_is_missing_above():
    """New options for files are added to one of the lists."""
    outputs = {"out", "csv", "json", "timeline", "overlay", "faces"}
    inputs = {"weights", "root", "manifests", "data", "params", "config", "init"}
    inputs |= {"face_model", "dlib_predictor", "landmark_model"}
    found = set()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        for one in getattr(command, "commands", {"": command}).values():
            found |= {p.name for p in one.params if isinstance(p, click.Option) and isinstance(p.type, click.Path)}
    assert found <= outputs | inputs, found - outputs - inputs


def test_characters_that_the_terminal_lacks_do_not_end_a_command(tmp_path, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "argv", ["dfbench", "table", "grnet-5", "--out", str(tmp_path / "名 é.txt")])
    monkeypatch.setenv("DFBENCH_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    shown.flush()
    assert shown.buffer.getvalue().splitlines()[-1].endswith(b"\\u540d \xe9.txt")


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--out"],
        ["report", "run", "--out"],
        ["inspect", "manifest", "--faces"],
        ["upgrade", "manifest", "--out"],
        ["upgrade"],
        ["table", "grnet-5", "--out"],
        ["score", "clip.mp4", "--model", "meso4", "--csv"],
    ],
)
def test_a_url_is_no_name_of_a_local_folder(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command([*words, "s3://bucket/out"]) == 2
    assert "s3://bucket/out cannot be used here: a local path is needed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
