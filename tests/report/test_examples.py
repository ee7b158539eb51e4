import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dfbench.errors import DataError
from dfbench.report import write_report
from dfbench.report.examples import load_examples
from dfbench.schema.scores import EXAMPLES


@pytest.fixture
def run(two_runs, tmp_path):
    return shutil.copytree(two_runs[0], tmp_path / "run")


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
