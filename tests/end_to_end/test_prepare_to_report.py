"""End to end on a small mini set, typed as a user types it: prepare, train, evaluate, report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from dfbench.manifest.manifest import open_manifest

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow, pytest.mark.timeout(900)]

PROTOCOL = """
name = "tiny"
version = 1
source = "a test"
summary = "mini, small and quick"

[[data]]
role = "train"
dataset = "mini"
split = "train"
subsets = ["c23"]

[[data]]
role = "val"
dataset = "mini"
split = "val"
subsets = ["c23"]

[[data]]
role = "test"
dataset = "mini"
split = "test"
subsets = ["c23", "c40"]

[sampling]
frames = 3

[crops]
size = 64

[training]
epochs = 2
batch_size = 16
samples_per_epoch = 48
sampling = "balanced"

[metrics]
names = ["acc.frame", "auc.frame", "eer.frame", "acc.video.mean", "auc.video.mean", "eer.video.mean",
         "auc.video.mean~dfb"]
resamples = 200
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run(folder: Path, *words: str) -> Done:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DFBENCH")}
    done = subprocess.run(
        [sys.executable, "-m", "dfbench", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def good(folder: Path, *words: str) -> Done:
    done = run(folder, *words)
    assert done.code == 0, f"{' '.join(words)}\n{done.err}"
    return done


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after all commands: 3 training, 1 validation and 2 test pairs."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "tiny.toml").write_text(PROTOCOL)
    good(folder, "prepare", "mini", "--pairs", "3,1,2", "--protocol", "tiny.toml", "--workers", "2")
    for model in ("grnet", "meso4"):
        good(folder, "train", "--model", model, "--protocol", "tiny.toml")
        good(folder, "evaluate", "--model", model, "--protocol", "tiny.toml")
    return folder


def runs(folder: Path) -> dict[str, Path]:
    found = {json.loads(f.read_text())["model"]: f.parent for f in (folder / "runs").glob("*/result.json")}
    assert set(found) == {"grnet", "meso4"}
    return found


def test_the_manifest_holds_a_row_for_every_requested_frame(workspace: Path) -> None:
    frame = open_manifest(workspace / "manifests" / "mini").to_pandas()
    assert len(frame) == 6 * 10 * 2 * 3  # pairs x clips of a pair x compressions x frames
    assert frame.sample_id.is_unique
    assert set(frame.label[frame.manipulation == "real"]) == {0}
    assert set(frame.label[frame.manipulation != "real"]) == {1}
    assert (frame.status == "ok").mean() > 0.9
    assert not Path(frame.media_path[0]).is_absolute()


def test_inspect_and_verify_agree_with_it(workspace: Path) -> None:
    shown = good(workspace, "inspect", "manifests/mini", "--faces", "faces.png")
    assert "Deepfakes" in shown.out
    assert (workspace / "faces.png").read_bytes().startswith(b"\x89PNG")
    assert good(workspace, "verify", "manifests/mini").code == 0


@pytest.mark.parametrize("model", ["grnet", "meso4"])
def test_metrics_follow_from_the_scores_file_alone(workspace: Path, model: str) -> None:
    folder = runs(workspace)[model]
    result = json.loads((folder / "result.json").read_text())
    scores = pq.read_table(folder / "scores.parquet").to_pandas()
    assert result["protocol"]["name"] == "tiny"
    assert result["mini"] is True
    values = {
        (m["name"], m["subset"]): m
        for m in result["metrics"]
        if m["manipulation"] == "all" and m["condition"] == "clean"
    }
    assert {s for _, s in values} == {"c23", "c40"}
    for subset in ("c23", "c40"):
        rows = scores[(scores.subset == subset) & (scores.status == "ok")]
        frame = values["auc.frame", subset]
        assert frame["value"] == pytest.approx(roc_auc_score(rows.label, rows.score), abs=1e-12)
        assert frame["n"] == len(rows)
        assert frame["n_positive"] == rows.label.sum()
        assert frame["low"] is None
        assert frame["interval_note"], "two scene groups are too few for an interval"
        assert values["acc.frame", subset]["value"] == pytest.approx(
            np.mean((rows.score >= 0.5) == rows.label), abs=1e-12
        )
        videos = rows.groupby("media_id").agg(score=("score", "mean"), label=("label", "first"))
        video = values["auc.video.mean", subset]
        assert video["value"] == pytest.approx(roc_auc_score(videos.label, videos.score), abs=1e-12)
        assert video["n"] == len(videos) == 20
    for metric in result["metrics"]:
        assert {"profile", "size", "coverage", "train_condition", "cluster", "n_clusters"} <= set(metric)
        assert metric["size"] == 64


def test_the_collision_of_video_names_shows_in_one_table(workspace: Path) -> None:
    """Four fakes of one name become one video by DeepfakeBench's rule: 20 videos are 8, beside our value."""
    folder = runs(workspace)["grnet"]
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    found = {m["name"]: m for m in metrics if m["subset"] == "c23" and m["manipulation"] == "all"}
    ours, theirs = found["auc.video.mean"], found["auc.video.mean~dfb"]
    assert (ours["n"], theirs["n"]) == (20, 8)
    rows = pq.read_table(folder / "scores.parquet").to_pandas()
    rows = rows[(rows.subset == "c23") & (rows.status == "ok")]
    by_name = rows.groupby(rows.media_id.str.rpartition("/")[2]).agg(score=("score", "mean"), label=("label", "mean"))
    assert theirs["value"] == pytest.approx(roc_auc_score(by_name.label.astype(int), by_name.score), abs=1e-12)
    printed = good(workspace, "report", str(folder), "--out", "collision").out
    assert "AUC~dfb" in printed
    values = [f"{100 * m['value']:.1f}" for m in (ours, theirs)]
    assert any(all(value in line for value in values) for line in printed.splitlines())


def test_the_same_evaluation_gives_the_same_numbers(workspace: Path) -> None:
    folder = runs(workspace)["meso4"]
    before = (folder / "scores.parquet").read_bytes()
    good(workspace, "evaluate", "--model", "meso4", "--protocol", "tiny.toml", "--out", "again")
    again = pq.read_table(workspace / "again" / "scores.parquet").drop_columns(["run_id"])
    assert again.equals(pq.read_table(folder / "scores.parquet").drop_columns(["run_id"]))
    assert (folder / "scores.parquet").read_bytes() == before


def test_the_report_is_one_page_that_says_mini(workspace: Path) -> None:
    done = good(workspace, "report", *(str(p) for p in runs(workspace).values()), "--out", "report")
    last = done.out.strip().splitlines()[-1]
    page = workspace / last if not Path(last).is_absolute() else Path(last)
    text = page.read_text("utf-8")
    assert page.name == "index.html"
    assert "invented faces" in text
    assert "grnet" in text
    assert "meso4" in text
    assert 'src="http' not in text


def test_mini_weights_are_refused_elsewhere(workspace: Path) -> None:
    (workspace / "other.toml").write_text(PROTOCOL.replace('"tiny"', '"other"'))
    weights = workspace / "weights" / "tiny" / "meso4.safetensors"
    assert weights.is_file()
    done = run(workspace, "evaluate", "--model", "meso4", "--protocol", "other.toml", "--weights", str(weights))
    assert done.code == 4
    assert "--allow-mini-weights" in done.err


def test_score_gives_mini_clips_the_scores_of_the_run_and_says_mini(workspace: Path) -> None:
    rows = open_manifest(workspace / "manifests" / "mini").to_pandas()
    test = rows[(rows.split == "test") & (rows.subset == "c40")]
    paths = sorted(set(test.media_path))[:3]
    clips = [str(next((workspace / "data").rglob(path))) for path in paths]
    words = ["score", *clips, "--model", "meso4", "--frames", "3", "--jobs", "1", "--json", "own.json"]
    refused = run(workspace, *words)
    assert refused.code == 4
    assert "--allow-mini-weights" in refused.err
    assert not (workspace / "own.json").exists()
    done = good(workspace, *words, "--allow-mini-weights")  # the weights are found: there are no others of meso4
    assert "invented faces" in done.out
    own = json.loads((workspace / "own.json").read_text())
    assert own["mini"] is True
    scores = pq.read_table(runs(workspace)["meso4"] / "scores.parquet").to_pandas().set_index("sample_id").score
    of_media = dict(zip(test.media_path, test.media_id, strict=True))
    compared = 0
    for path, file in zip(paths, own["files"], strict=True):
        for frame in file["frames"]:
            expected = scores[f"{of_media[path]}#{frame['frame']:06d}.0"]
            assert (frame["p_fake"] is None) == bool(np.isnan(expected))
            if frame["p_fake"] is not None:
                assert frame["p_fake"] == pytest.approx(expected, abs=1e-5)
                compared += 1
    assert compared >= 6
