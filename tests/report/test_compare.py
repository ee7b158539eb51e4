"""compare: what may be compared, what is refused, and what is printed."""

import csv
import io

import pytest
import run_folders

from dfbench.errors import DataError, UsageError
from dfbench.report.compare import compare_runs, render_comparison
from dfbench.schema.result import ProtocolRef, WeightsRef

pytestmark = pytest.mark.slow


@pytest.fixture
def folders(tmp_path):
    made = []
    for name, gap in (("a", 2.0), ("b", 0.5)):
        table = run_folders.scores_table(model=name, run_id=f"run-{name}", frames=2, gap=gap)
        made.append((tmp_path / name, table, run_folders.result_of(table)))
        run_folders.write_run(*made[-1], examples=False)
    return made


def rewrite(made, **changes):
    folder, table, result = made
    return run_folders.write_run(folder, table, result.model_copy(update=changes), examples=False)


def test_two_runs(folders):
    a, b = folders[0][0], folders[1][0]
    found = compare_runs(a, b, resamples=1000)
    assert [d.name for d in found.differences[:8]] == list(run_folders.NAMES)
    assert {d.subset for d in found.differences} == {"c23", "c40"}
    best = found.differences[0]
    assert best.value > 0
    assert best.holm < 0.05
    text = render_comparison(found)
    assert "first: a; second: b" in text
    assert "DeLong" in text
    assert "mini: invented faces" in text
    assert "samples without a score in one of the runs" in text
    rows = list(csv.DictReader(io.StringIO(render_comparison(found, "csv"))))
    assert float(rows[0]["value"]) == best.value
    assert render_comparison(found, "md").startswith("| metric |")
    with pytest.raises(UsageError, match="unknown table format 'html'"):
        render_comparison(found, "html")


@pytest.mark.parametrize("fmt", ["text", "md"])
def test_a_crop_mismatch_is_reported(folders, fmt):
    a, b = folders[0][0], folders[1][0]
    assert "crop mismatch" not in render_comparison(compare_runs(a, b, resamples=100), fmt)
    rewrite(folders[0], crop_mismatch="dfb256 256 px")
    told = "a: weights trained on dfb256 256 px crops, evaluated on native 128 px (crop mismatch)"
    assert told in render_comparison(compare_runs(a, b, resamples=100), fmt)


def test_different_trainings_are_reported(folders):
    a, b = folders[0][0], folders[1][0]
    assert "training" not in render_comparison(compare_runs(a, b, resamples=100))
    card = {"protocol": {"name": "p", "version": 2, "hash": "abcdef0123456789"}, "overrides": {"epochs": 1}}
    rewrite(folders[0], weights=WeightsRef(sha256="0", card=card))
    text = render_comparison(compare_runs(a, b, resamples=100))
    assert "a: training by p v2 (abcdef012345), but epochs=1; b: training" in text


def test_order_of_the_runs_turns_the_sign(folders):
    a, b = folders[0][0], folders[1][0]
    (one, *_), (other, *_) = (compare_runs(*pair, resamples=50).differences for pair in ((a, b), (b, a)))
    assert (one.value, one.low, one.p) == (-other.value, pytest.approx(-other.high), other.p)


def test_metrics_by_name_and_by_manipulation(folders):
    found = compare_runs(
        folders[0][0], folders[1][0], ["ap.frame", "auc.video.mean~dfb"], resamples=20, per_manipulation=True
    )
    assert len(found.differences) == 2 * 5 * 2
    with pytest.raises(UsageError, match="unknown metric"):
        compare_runs(folders[0][0], folders[1][0], ["auc"])


def test_a_run_with_itself(folders):
    with pytest.raises(UsageError, match="both are the run run-a"):
        compare_runs(folders[0][0], folders[0][0])


def test_other_protocols(folders):
    rewrite(folders[1], protocol=ProtocolRef(name="other", version=2, hash="01" * 32))
    with pytest.raises(DataError, match=r"different protocols: 'mini' version 1 .* and 'other' version 2"):
        compare_runs(folders[0][0], folders[1][0])


def test_other_manifests(folders):
    refs = folders[1][2].manifests
    rewrite(folders[1], manifests=(refs[0].model_copy(update={"hash": "99" * 32}),))
    with pytest.raises(DataError, match="different manifests of 'mini'"):
        compare_runs(folders[0][0], folders[1][0])


def test_other_rules(folders):
    rewrite(folders[1], failure_policy="as-fake")
    with pytest.raises(DataError, match="differ in failure policy: exclude and as-fake"):
        compare_runs(folders[0][0], folders[1][0])


def test_other_thresholds(folders):
    metrics = tuple(v.model_copy(update={"threshold": 0.3 if v.threshold == 0.5 else v.threshold}) for v in folders[1][2].metrics)  # fmt: skip  # noqa: E501
    rewrite(folders[1], metrics=metrics)
    with pytest.raises(DataError, match=r"different thresholds: 0\.5 and 0\.3"):
        compare_runs(folders[0][0], folders[1][0])


def test_other_samples(folders):
    fewer = run_folders.scores_table(model="b", run_id="run-b", frames=1)
    run_folders.write_run(folders[1][0], fewer, run_folders.result_of(fewer), examples=False)
    with pytest.raises(DataError, match="different samples"):
        compare_runs(folders[0][0], folders[1][0])


def test_imported_scores_name_no_protocol(folders):
    rewrite(folders[1], protocol=None, manifests=())
    found = compare_runs(folders[0][0], folders[1][0], ["auc.frame"], resamples=0)
    assert any("has no protocol" in note for note in found.notes)
    assert any("no resamples were requested" in note for note in found.notes)


def test_a_folder_that_is_no_run(tmp_path, folders):
    with pytest.raises(DataError, match="run folder not found"):
        compare_runs(tmp_path / "none", folders[0][0])
