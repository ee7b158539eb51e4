"""Labels of scored files and the metrics they allow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import dfbench
from dfbench import metrics
from dfbench.cli.main import run_command
from dfbench.scoring.labels import FileLabel, compute_file_metrics, find_labels, metric_lines


def touch(folder: Path, *names: str) -> list[Path]:
    files = [folder / name for name in names]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return files


def test_labels_of_real_and_fake_folders(tmp_path: Path) -> None:
    files = touch(tmp_path / "d", "real/a.mp4", "fake/swap/b.mp4", "fake/c.png", "other/e.mp4")
    elsewhere = touch(tmp_path, "f.mp4")
    for words in ([tmp_path / "d"], [tmp_path / "d" / "real", tmp_path / "d" / "fake"]):
        found = find_labels(words, [*files, *elsewhere])
        assert {path.name: label.label for path, label in found.by_file.items()} == {"a.mp4": 0, "b.mp4": 1, "c.png": 1}
        assert not found.notes
    assert not find_labels([tmp_path / "d" / "other", *elsewhere], [*files, *elsewhere]).by_file


def test_labels_and_groups_of_a_list(tmp_path: Path) -> None:
    files = touch(tmp_path, "a.mp4", "b.mp4", "c/0.png", "c/1.png", "not_listed.mp4")
    (tmp_path / "media.csv").write_text("path,label,group\na.mp4,real,1\nb.mp4,1,1\nc,fake,2\n", "utf-8")
    found = find_labels([tmp_path], files)
    assert [(p.name, label.label) for p, label in found.by_file.items()] == [
        ("a.mp4", 0),
        ("b.mp4", 1),
        ("0.png", 1),
        ("1.png", 1),
    ]
    assert [label.group.split("/")[-1] for label in found.by_file.values()] == ["1", "1", "2", "2"]


def test_a_faulty_list_is_named_and_not_used(tmp_path: Path) -> None:
    files = touch(tmp_path, "a.mp4")
    (tmp_path / "media.csv").write_text("path,label\na.mp4,perhaps\n", "utf-8")
    found = find_labels([tmp_path], files)
    assert not found.by_file
    assert "media.csv" in found.notes[0]


def test_metrics_over_files_are_those_of_dfbench_metrics() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    values = np.clip(0.3 * truth + rng.uniform(0, 0.7, 60), 0, 1)
    labels: list[FileLabel | None] = [FileLabel(int(y), f"g{n // 2}") for n, y in enumerate(truth)]
    found = compute_file_metrics([*labels, None, FileLabel(1, "x")], [*values.tolist(), 0.5, None])
    assert found is not None
    assert (found.level, found.n, found.n_groups, found.excluded, found.unlabelled) == ("file", 60, 30, 1, 1)
    assert (found.n_real, found.n_fake) == (int((truth == 0).sum()), int(truth.sum()))
    assert found.majority == max(found.n_real, found.n_fake) / 60
    auc, acc = found.values
    assert (auc.name, auc.value) == ("auc", metrics.auc(truth, values))
    assert (acc.name, acc.value) == ("acc", metrics.accuracy(truth, values))
    expected = metrics.auc_interval(truth, values, [f"g{n // 2}" for n in range(60)])
    assert (auc.low, auc.high) == (expected.low, expected.high)
    assert auc.low is not None
    assert auc.low < auc.value < auc.high
    text = "\n".join(metric_lines(found))
    assert f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}] (per file, n=60" in text
    assert "1 labelled files without a score excluded; 1 files without a label excluded" in text
    assert "threshold that is not calibrated" in text


def test_one_class_has_no_auc() -> None:
    found = compute_file_metrics([FileLabel(1, "a"), FileLabel(1, "b")], [0.9, 0.2])
    assert found is not None
    auc, acc = found.values
    assert auc.value is None
    assert auc.note
    assert acc.value == 0.5
    assert acc.low is None
    assert compute_file_metrics([None], [0.5]) is None
    assert compute_file_metrics([FileLabel(1, "a")], [None]) is None


def test_a_labelled_folder_has_metrics_everywhere(
    clips: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, name in (("real", "one.mp4"), ("fake", "two.mp4"), ("fake", "none.mp4")):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(clips / name, tmp_path / folder)
    out = tmp_path / "s.json"
    words = ["score", str(tmp_path), "--model", "meso4", "--weights", str(weights), "--json", str(out)]
    assert run_command([*words, "--frames", "1", "--workers", "1"]) == 0
    shown = capsys.readouterr().out
    assert "2 labelled files (1 real, 1 fake); 1 labelled files without a score excluded" in shown
    assert "AUC " in shown
    assert "ACC " in shown
    stored = json.loads(out.read_text("utf-8"))
    assert {file["file"].split("/")[-1]: file["label"] for file in stored["files"]} == {
        "one.mp4": 0,
        "two.mp4": 1,
        "none.mp4": 1,
    }
    with pytest.warns(DeprecationWarning, match="use workers"):
        result = dfbench.score(tmp_path, "meso4", weights, frames=1, jobs=1, quiet=True)  # type: ignore[call-arg]
    assert result.metrics is not None
    assert stored["metrics"]["values"] == [
        {"name": m.name, "value": m.value, "low": m.low, "high": m.high, "note": m.note} for m in result.metrics.values
    ]
    table = result.to_pandas()
    assert table["label"].tolist() == [file.label for file in result.files]
    assert repr(result) == "ScoringResult(meso4, 2 of 3 files scored)"
    unlabelled = dfbench.score(tmp_path / "real" / "one.mp4", "meso4", weights, frames=1, workers=1, quiet=True)
    assert unlabelled.metrics is None


def test_spellings_of_the_label_folders_are_told(tmp_path: Path) -> None:
    files = [tmp_path / "0_real" / "a.png", tmp_path / "1_fake" / "b.png"]
    for file in files:
        file.parent.mkdir()
        file.touch()
    found = find_labels([tmp_path], files)
    assert [found.by_file[file].label for file in files] == [0, 1]
    assert found.notes == ("labels follow from the names of folders: 0_real is real, 1_fake is fake",)
