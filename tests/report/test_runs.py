import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folders

from dfbench.errors import DataError, UsageError
from dfbench.report import load_run, load_runs, write_report
from dfbench.report.examples import load_examples
from dfbench.schema.scores import EXAMPLES


@pytest.fixture
def run(two_runs, tmp_path):
    return shutil.copytree(two_runs[0], tmp_path / "run")


def change(run, **fields):
    file = run / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_a_whole_run_opens(run):
    loaded = load_run(run)
    assert loaded.result.model == loaded.label == "grnet"
    assert len(loaded.scores) == sum(c.requested for c in loaded.result.coverage)


def test_not_a_run(tmp_path):
    with pytest.raises(DataError, match="there is no run folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is not a run folder: it has no"):
        load_run(tmp_path)


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
        load_run(run)
        return
    with pytest.raises(DataError, match=message):
        load_run(run)


def test_damaged_files(run):
    scores = (run / "scores.parquet").read_bytes()
    (run / "scores.parquet").write_bytes(scores[: len(scores) // 2])
    with pytest.raises(DataError, match="its hash differs"):
        load_run(run)
    change(run, scores_sha256="")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_run(run)
    (run / "scores.parquet").unlink()
    with pytest.raises(DataError, match="not a whole run"):
        load_run(run)
    (run / "result.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        load_run(run)


def test_rows_lost_from_the_scores_are_noticed(run):
    table = pq.read_table(run / "scores.parquet")
    pq.write_table(table.slice(1), run / "scores.parquet")
    change(run, scores_sha256="")
    with pytest.raises(DataError, match="do not fit the counts"):
        load_run(run)


def test_several_runs(run, two_runs, tmp_path):
    with pytest.raises(UsageError, match="given more than once"):
        load_runs([run, two_runs[0]])
    with pytest.raises(UsageError, match="no run was given"):
        load_runs([])
    again = run_folders.scores_table(run_id="run-9", seed=9)
    second = run_folders.write_run(tmp_path / "again", again, run_folders.result_of(again))
    assert [r.label for r in load_runs([run, second])] == ["grnet (run-1)", "grnet (run-9)"]


def test_examples(run, two_runs):
    examples = load_examples(run)
    assert [e.kind for e in examples] == ["typical", "worst", "worst", "worst"]
    assert examples[0].truth == "real"
    assert examples[0].residual is None
    assert examples[0].residual_factor is None
    assert {e.condition for e in examples} == {"clean"}
    assert load_examples(two_runs[1]) == []


def test_examples_with_an_amplified_residual_under_a_condition(run, tmp_path):
    table = pq.read_table(run / "examples.parquet")
    table = table.append_column("residual_factor", pa.array([8.0] * len(table)))
    pq.write_table(table.append_column("condition", pa.array(["JP60"] * len(table))), run / "examples.parquet")
    assert [(e.residual_factor, e.condition) for e in load_examples(run)] == [(8.0, "JP60")] * 4
    assert write_report([run], tmp_path / "page").read_text("utf-8").count(" under JP60") == 4


def test_broken_examples(run):
    rows = pq.read_table(run / "examples.parquet").to_pylist()
    rows[0]["crop"] = b"<svg onload=alert(1)>"
    pq.write_table(pa.Table.from_pylist(rows, schema=EXAMPLES.schema()), run / "examples.parquet")
    with pytest.raises(DataError, match="is not a PNG file"):
        load_examples(run)
    (run / "examples.parquet").write_text("no")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_examples(run)
