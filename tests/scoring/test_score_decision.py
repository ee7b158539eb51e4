"""Threshold and temperature of the card are those of the scores; without them everything is as at 0.5 and 1."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from dfbench.cli.main import run_command
from dfbench.scoring import score
from dfbench.scoring.labels import FileLabel, ScoreThreshold, compute_file_metrics, metric_lines
from dfbench.scoring.results import AggregationRules, ScoringResult, summarise
from dfbench.scoring.tables import HEAD, table_head, threshold_lines
from dfbench.scoring.timeline import draw_timeline

OPTIONS = {"device": "cpu", "quiet": True, "workers": 1, "frames": 3}
DECISION = {"rule": "max-bacc", "level": "video.mean", "samples": 24}


@pytest.fixture(scope="module")
def plain(clips: Path, weights: Path) -> ScoringResult:
    return score([clips / "one.mp4", clips / "none.mp4"], "meso4", weights, **OPTIONS)  # type: ignore[arg-type]


def test_without_a_decision_nothing_is_decided(plain: ScoringResult) -> None:
    assert plain.threshold == ScoreThreshold(0.5, "")
    assert [file.decision for file in plain.files] == [None, None]
    assert (table_head(plain), threshold_lines(plain)) == (HEAD, [])
    assert plain.settings["temperature"] == 1.0
    assert plain.settings["threshold"] == {"value": 0.5, "chosen": ""}


def test_threshold_and_temperature_of_the_card_are_used(
    plain: ScoringResult,
    clips: Path,
    save: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faces = [face for frame in plain.files[0].frames for face in frame.faces]
    logits = np.array([face.logits for face in faces])
    expected = expit((logits[:, 1] - logits[:, 0]) / 8)
    assert np.abs(expected - np.array([face.p_fake for face in faces])).min() > 1e-4
    threshold = float(expected.mean()) + 1e-4
    card = save(decision=DECISION | {"threshold": threshold, "temperature": 8.0})
    words = [str(clips / "one.mp4"), str(clips / "none.mp4"), "--model", "meso4", "--weights", str(card)]
    files = {"--csv": tmp_path / "s.csv", "--json": tmp_path / "s.json"}
    more = [str(word) for pair in files.items() for word in pair]
    assert run_command(["score", *words, *more, "--frames", "3", "--device", "cpu", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "decision: fake from" in printed
    assert "chosen by the rule max-bacc on 24 video.mean scores of the validation data" in printed
    assert "logits are divided by the temperature of the weights, 8" in printed
    found = json.loads(files["--json"].read_text("utf-8"))
    assert found["temperature"] == 8.0
    assert found["threshold"]["value"] == threshold
    scores = [face["p_fake"] for frame in found["files"][0]["frames"] for face in frame["faces"]]
    assert scores == pytest.approx(expected.tolist(), abs=1e-6)
    assert [file["decision"] for file in found["files"]] == ["real", None]
    rows = list(csv.DictReader(files["--csv"].open(encoding="utf-8")))
    assert {row["file_decision"] for row in rows if row["file"].endswith("/one.mp4")} == {"real"}
    lower = save(decision=DECISION | {"threshold": threshold - 2e-4, "temperature": 8.0})
    (file,) = score(clips / "one.mp4", "meso4", lower, **OPTIONS).files  # type: ignore[arg-type]
    assert file.decision == "fake"


def test_votes_are_those_of_the_threshold_and_decided_by_half() -> None:
    rules = AggregationRules(aggregation="vote", threshold=ScoreThreshold(0.3, "chosen"))
    assert summarise([0.2, 0.35, 0.4], rules).p_fake == pytest.approx(2 / 3)
    assert rules.threshold.of_files("vote") == ScoreThreshold(0.5, "chosen")
    assert rules.threshold.of_files("max") == ScoreThreshold(0.3, "chosen")


def test_the_accuracy_of_labelled_files_is_that_of_the_threshold() -> None:
    labels = [FileLabel(number % 2, str(number)) for number in range(12)]
    scores = [0.1 if number % 2 == 0 else 0.35 for number in range(12)]
    found = {
        value: compute_file_metrics(labels, scores, ScoreThreshold(value, "chosen by a rule")) for value in (0.3, 0.5)
    }
    accuracy = {}
    for value, metrics in found.items():
        assert metrics is not None
        accuracy[value] = {one.name: one.value for one in metrics.values}["acc"]
        assert metrics.threshold == value
        assert f"from a score of {value:g} on, chosen by a rule;" in metric_lines(metrics)[-1]
    assert accuracy == {0.3: 1.0, 0.5: 0.5}


def test_the_timeline_shows_the_threshold(plain: ScoringResult) -> None:
    for threshold, label in (
        (ScoreThreshold(0.3, "chosen"), "threshold 0.3 (of the weights)"),
        (None, "not calibrated"),
    ):
        figure = draw_timeline(plain.files[0], "meso4", [], *([threshold] if threshold else []))
        (line,) = [line for line in figure.axes[0].lines if label in str(line.get_label())]
        assert set(np.asarray(line.get_ydata())) == {threshold.value if threshold else 0.5}
