"""``dfbench import scores`` and ``dfbench compare`` as typed."""

import numpy as np
import pytest

from dfbench.cli.main import run_command
from dfbench.evaluation.run import open_run


@pytest.fixture
def files(tmp_path):
    base = np.random.default_rng(0).normal(size=60)
    for name, gap in (("weak", 0.5), ("strong", 3.0)):
        lines = [f"v{i:02d},{i % 2},{1 / (1 + np.exp(-base[i] - gap * (i % 2 - 0.5))):.5f}" for i in range(60)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["media_id,label,score", *lines]))
    return tmp_path


@pytest.mark.slow
def test_import_then_compare(files, capsys):
    for name in ("weak", "strong"):
        assert run_command(["import", "scores", str(files / f"{name}.csv"), "--out", str(files / name), "--resamples", "100"]) == 0  # fmt: skip  # noqa: E501
        out = capsys.readouterr()
        assert out.out.splitlines()[-1] == str(files / name / "result.json")
        assert "has no scene groups" in out.err
        assert {p.name for p in (files / name).iterdir()} == {"scores.parquet", "result.json"}
    assert run_command(["compare", str(files / "strong"), str(files / "weak"), "--metric", "auc.video.mean"]) == 0
    out = capsys.readouterr().out
    assert "DeLong" in out
    assert "auc.video.mean" in out
    assert run_command(["report", str(files / "weak"), str(files / "strong"), "--out", str(files / "page")]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["import", "scores", "weak.csv", "--out", "r", "--kind", "logits"], 2, "unknown kind of score"),
        (["import", "scores", "nowhere.csv", "--out", "r"], 3, "file not found"),
        (["import", "scores", "weak.csv", "--out", "r", "--metric", "auc"], 2, "unknown metric"),
        (["import", "scores", "weak.csv", "--out", "r", "--failure-policy", "drop"], 2, "unknown failure policy"),
        (["import", "scores", "weak.csv"], 2, "--out"),
        (["compare", "weak", "weak", "--format", "html"], 2, "unknown table format"),
        (["compare", "weak", "strong"], 3, "run folder not found"),
    ],
)
def test_errors_and_exit_codes(files, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(files)
    assert run_command(words) == code
    assert message in capsys.readouterr().err
    assert not (files / "r").exists()


def test_logits_given_as_probabilities_are_named(files, capsys):
    (files / "l.csv").write_text("media_id,label,score\na,0,-1.5\nb,1,2.5\n")
    assert run_command(["import", "scores", str(files / "l.csv"), "--out", str(files / "r")]) == 3
    err = capsys.readouterr().err
    assert "row 1 (a), row 2 (b)" in err
    assert "--kind logit" in err
    assert run_command(["import", "scores", str(files / "l.csv"), "--out", str(files / "r"), "--kind", "logit"]) == 0


def test_the_old_spelling_of_face_aggregation_warns(files, capsys):
    words = ["import", "scores", str(files / "weak.csv"), "--resamples", "0"]
    assert run_command([*words, "--out", str(files / "new"), "--face-aggregation", "max"]) == 0
    assert "deprecated" not in capsys.readouterr().err
    assert run_command([*words, "--out", str(files / "old"), "--faces", "max"]) == 0
    assert "--faces is deprecated: use --face-aggregation" in capsys.readouterr().err
    assert open_run(files / "old").result.faces == open_run(files / "new").result.faces == "max"
