"""``dfbench score`` as typed, and every example of its page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from loading import load_file

from dfbench.cli.main import run_command
from dfbench.scoring.results import CAUTION

pytestmark = pytest.mark.slow

_FIXTURES = load_file("tests/scoring/conftest.py", "scoring_fixtures")
clips, save, weights = _FIXTURES.clips, _FIXTURES.save, _FIXTURES.weights

PAGE = Path(__file__).parents[2] / "docs" / "score.md"


def test_a_table_what_it_is_not_and_what_was_written(clips, weights, tmp_path, capsys):
    words = ["score", str(clips / "two.mp4"), str(clips / "no*.mp4"), "--model", "meso4", "--weights", str(weights)]
    assert run_command([*words, "--frames", "2", "--workers", "1", "--json", str(tmp_path / "s.json")]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["file", "P(fake)", "sd", "lowest", "highest", "frames", "faces", "status"]
    assert "face 2" in shown.out
    assert "no_face: no face found" in shown.out
    assert all(sentence in lines for sentence in CAUTION)
    assert lines[-1] == str(tmp_path / "s.json")
    assert len(json.loads((tmp_path / "s.json").read_text())["files"]) == 2
    assert "meso4.safetensors" in shown.err
    assert "\x1b" not in shown.out + shown.err
    assert run_command([*words, "--frames", "2", "--workers", "1", "-q"]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert CAUTION[0] in quiet.out


def test_mini_weights_are_marked(clips, save, capsys):
    words = ["score", str(clips / "photo.png"), "--model", "meso4", "--weights", str(save(mini=True))]
    assert run_command(words) == 4
    refused = capsys.readouterr()
    assert "synthetic faces" in refused.err
    assert refused.out == ""
    assert run_command([*words, "--allow-mini-weights"]) == 0
    assert "mini: invented faces" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["text.txt", "--model", "meso4"], 3, "none of 1 files could be scored; text.txt: decode_error"),
        (["none.mp4", "--model", "meso4"], 3, "none of 1 files could be scored; none.mp4: no_face"),
        (["gone.mp4", "--model", "meso4"], 3, "no such file or folder: gone.mp4"),
        (["none.mp4", "--model", "meso5"], 2, "did you mean 'meso4'"),
        (["none.mp4", "--model", "meso4", "--profile", "box"], 4, "--allow-crop-mismatch"),
        (["none.mp4", "--model", "meso4", "--weights", "x.safetensors"], 4, "no weights at x.safetensors"),
        (["--model", "meso4"], 2, "Missing argument 'FILE...'"),
        (["none.mp4"], 2, "--model"),
    ],
)
def test_errors_and_exit_codes(clips, weights, tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clips / "none.mp4", tmp_path)
    (tmp_path / "text.txt").write_text("no clip")
    given = [] if "--weights" in words else ["--weights", str(weights)]
    assert run_command(["score", *words, *given, "--frames", "2", "--csv", "s.csv"]) == code
    assert message in capsys.readouterr().err
    assert (tmp_path / "s.csv").exists() == ("none of 1" in message)


def test_ctrl_c(clips, weights, tmp_path, monkeypatch, capsys):
    from dfbench.scoring import scorer

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(scorer.Scorer, "_score", stopped)
    words = [str(clips / "one.mp4"), "--model", "meso4", "--weights", str(weights), "--csv", str(tmp_path / "s.csv")]
    assert run_command(["score", *words]) == 130
    assert "rerun to start over" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.fixture(scope="module")
def desk(clips, save, tmp_path_factory):
    """A folder with the files that the page names."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(clips / "one.mp4", folder / "clip.mp4")
    (folder / "photos").mkdir()
    shutil.copy(clips / "photo.png", folder / "photos")
    save("grnet", folder / "grnet.safetensors")
    return folder


def test_the_examples_of_the_page(desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = [line.removeprefix("$ dfbench ") for block in blocks for line in block.splitlines()]
    assert len(lines) >= 4
    for line in lines:
        assert run_command([*shlex.split(line), "--workers", "1"]) == 0, capsys.readouterr().err
        assert CAUTION[0] in capsys.readouterr().out
    assert {"scores.csv", "scores.json", "boxes.mp4", "plots"} <= {p.name for p in desk.iterdir()}
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("ok 0.")
