from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import run_folders

import dfbench
from dfbench.errors import DataError, UndefinedMetric, UsageError
from dfbench.evaluation.run import open_run, open_runs
from dfbench.metrics import auc


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    scores = run_folders.scores_table()
    return run_folders.write_run(tmp_path_factory.mktemp("runs") / "a", scores, run_folders.result_of(scores))


@pytest.fixture
def run(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "run")


def change(run, **fields):
    file = run / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_a_whole_run_opens(run):
    loaded = open_run(run)
    assert loaded.result.model == loaded.label == "grnet"
    assert len(loaded.scores_table) == sum(c.requested for c in loaded.result.coverage)


def test_not_a_run(tmp_path):
    with pytest.raises(DataError, match="run folder not found"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is not a run folder: it has no"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format_version": 99}, "format version 99; this dfbench reads version 1"),
        ({"model": None}, "not a valid result: model"),
        ({"surprise": 1}, "not a valid result: surprise"),
        ({"scores_sha256": "0" * 64}, "its hash differs"),
        ({"scores_sha256": "", "run_id": "other"}, "holds rows of the run run-1"),
        ({"scores_sha256": "", "coverage": []}, None),
    ],
)
def test_results_that_do_not_fit(run, fields, message):
    change(run, **fields)
    if message is None:
        open_run(run)
        return
    with pytest.raises(DataError, match=message):
        open_run(run)


def test_damaged_files(run):
    scores = (run / "scores.parquet").read_bytes()
    (run / "scores.parquet").write_bytes(scores[: len(scores) // 2])
    with pytest.raises(DataError, match="its hash differs"):
        open_run(run)
    change(run, scores_sha256="")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        open_run(run)
    (run / "scores.parquet").unlink()
    with pytest.raises(DataError, match="not a complete run"):
        open_run(run)
    (run / "result.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        open_run(run)


def test_rows_lost_from_the_scores_are_noticed(run):
    table = pq.read_table(run / "scores.parquet")
    pq.write_table(table.slice(1), run / "scores.parquet")
    change(run, scores_sha256="")
    with pytest.raises(DataError, match="do not match the counts"):
        open_run(run)


def test_several_runs(run, folder, tmp_path):
    with pytest.raises(UsageError, match="given more than once"):
        open_runs([run, folder])
    with pytest.raises(UsageError, match="no run was given"):
        open_runs([])
    again = run_folders.scores_table(run_id="run-9", seed=9)
    second = run_folders.write_run(tmp_path / "again", again, run_folders.result_of(again))
    assert [r.label for r in open_runs([run, second])] == ["grnet (run-1)", "grnet (run-9)"]


def test_one_number_with_its_interval(folder):
    run = dfbench.open_run(str(folder))
    found = run.get("auc.frame", subset="c23")
    (stored,) = [m for m in run.result.metrics if (m.name, m.subset, m.manipulation) == ("auc.frame", "c23", "all")]
    assert (found.value, found.low, found.high, found.n) == (stored.value, stored.low, stored.high, stored.n)
    assert found.n_groups == stored.n_clusters == 20
    rows = run.scores.query("subset == 'c23' and status == 'ok'")
    assert float(found) == auc(rows["label"], rows["score"])
    one = run.get("auc.frame", subset="c23", manipulation="FaceSwap", dataset="mini", condition="clean")
    assert one.value != found.value
    assert str(found) == f"{stored.value:.3f} [{stored.low:.3f}, {stored.high:.3f}]"


@pytest.mark.parametrize(
    ("name", "filters", "message", "hint"),
    [
        ("auc.vide.mean", {}, "unknown metric in this run: 'auc.vide.mean'", "did you mean 'auc.video.mean'"),
        ("auc.frame", {}, "auc.frame for 2 values of subset: c23, c40", "subset='c23'"),
        ("auc.frame", {"subset": "c24"}, "unknown subset .*: 'c24'", "did you mean 'c40' or 'c23'|'c23' or 'c40'"),
        ("auc.frame", {"subset": "c23", "manipulation": "Faceswap"}, "'Faceswap'", "did you mean 'FaceSwap'"),
        ("auc.frame", {"subset": "c23", "condition": "JP60"}, "unknown condition .*: 'JP60'", "Known: clean"),
        ("ap.frame", {"subset": "c23"}, "unknown metric in this run: 'ap.frame'", "auc.frame"),
    ],
)
def test_none_or_several_numbers_are_an_error_that_names_the_nearest(folder, name, filters, message, hint):
    with pytest.raises(UsageError, match=message) as error:
        open_run(folder).get(name, **filters)
    assert any(part in error.value.hint for part in hint.split("|"))


def test_an_undefined_number_raises_its_reason(folder, tmp_path):
    scores = run_folders.scores_table()
    fakes = scores.filter(np.array(scores["label"]) == 1)
    run = open_run(run_folders.write_run(tmp_path / "fakes", fakes, run_folders.result_of(fakes)))
    with pytest.raises(UndefinedMetric, match="only fake samples"):
        run.get("auc.frame", subset="c23")
    frame = run.metrics
    undefined = frame[frame["name"] == "auc.frame"]
    assert undefined["value"].isna().all()
    assert undefined["undefined"].str.contains("only fake samples").all()


def test_without_a_condition_clean_is_returned(tmp_path):
    run = open_run(run_folders.suite_run(tmp_path / "suite", "grnet", "run-1", 0.5))
    clean = run.get("auc.video.mean", subset="c23")
    assert clean == run.get("auc.video.mean", subset="c23", condition="clean")
    assert clean.value > run.get("auc.video.mean", subset="c23", condition=run_folders.CONDITIONS[4].name).value


def test_views_and_reprs(folder):
    run = open_run(folder)
    assert len(run.metrics) == len(run.result.metrics)
    assert run.metrics["value"].dtype == float
    assert run.metrics["name"].tolist() == [m.name for m in run.result.metrics]
    assert len(run.scores) == len(run.scores_table)
    assert json.loads(run.to_json()) == json.loads((folder / "result.json").read_text())
    assert len(repr(run)) < 300
    assert repr(run).startswith("Run(model='grnet', protocol='mini' v1, data=mini/c23, mini/c40, ")
    page = run._repr_html_()
    assert "<table" in page
    assert "auc.video.mean" in page


def test_a_run_of_version_0_1_0_opens():
    run = open_run(Path(__file__).resolve().parents[1] / "compat" / "v0_1_0" / "run-tiny")
    assert run.result.versions["dfbench"] == "0.1.0"
    assert run.get("auc.frame").value == run.metrics.query("name == 'auc.frame'")["value"].iloc[0]
