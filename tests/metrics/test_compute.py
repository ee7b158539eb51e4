import json

import brute_force
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folders

from dfbench.errors import DataError, UsageError
from dfbench.metrics import compute_metrics, coverage_rows
from dfbench.metrics.compute import samples_by_slice
from dfbench.schema.result import RunResult
from dfbench.schema.scores import SCORES

SCORES_TABLE = run_folders.scores_table(pairs=20, frames=3)


def edit(table, **columns):
    """The table with some columns replaced by functions of its rows."""
    rows = table.to_pylist()
    for row in rows:
        row |= {name: change(row) for name, change in columns.items()}
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def pick(values, name, manipulation="all", subset="c23"):
    (found,) = [v for v in values if (v.name, v.manipulation, v.subset) == (name, manipulation, subset)]
    return found


def rows_of(table, subset, manipulation, status="ok"):
    return [
        r
        for r in table.to_pylist()
        if r["subset"] == subset
        and (status is None or r["status"] == status)
        and (manipulation == "all" or r["manipulation"] in ("real", manipulation))
    ]


@pytest.mark.parametrize("subset", ["c23", "c40"])
@pytest.mark.parametrize("manipulation", ["all", *run_folders.METHODS])
def test_every_cell_against_brute_force(subset, manipulation):
    values = compute_metrics(SCORES_TABLE, run_folders.NAMES, resamples=0)
    rows = rows_of(SCORES_TABLE, subset, manipulation)
    y, s = [r["label"] for r in rows], [r["score"] for r in rows]
    clips = {r["media_id"]: [] for r in rows}
    for row in rows:
        clips[row["media_id"]].append(row["score"])
    vy = [int("/real/" not in clip) for clip in clips]
    vs = [float(np.mean(frames)) for frames in clips.values()]
    for level, labels, scores in (("frame", y, s), ("video.mean", vy, vs)):
        expected = {
            "auc": brute_force.auc(labels, scores),
            "eer": brute_force.eer(labels, scores),
            "acc": brute_force.accuracy(labels, scores, 0.5),
            "bacc": brute_force.balanced(labels, scores, 0.5),
        }
        for metric, number in expected.items():
            value = pick(values, f"{metric}.{level}", manipulation, subset)
            assert value.value == pytest.approx(number, abs=1e-12)
            assert (value.n, value.n_media, value.n_positive) == (len(labels), len(clips), sum(labels))
            asked = rows_of(SCORES_TABLE, subset, manipulation, None)
            requested = len({row["media_id"] for row in asked})
            assert value.requested_media == requested
            assert value.coverage == (len(rows) / len(asked) if level == "frame" else len(clips) / requested)
            assert value.n_clusters == 20
            assert value.low is None
            assert value.interval_note == "no resamples were requested"


def test_metrics_from_the_scores_file_alone_equal_the_result(tmp_path):
    result = run_folders.result_of(SCORES_TABLE)
    folder = run_folders.write_run(tmp_path / "run", SCORES_TABLE, result)
    stored = RunResult.model_validate(json.loads((folder / "result.json").read_text()))
    again = compute_metrics(pq.read_table(folder / "scores.parquet"), run_folders.NAMES, resamples=200)
    facts = {"profile": "native", "size": 128, "seed": 7}
    assert stored.metrics == tuple(value.model_copy(update=facts) for value in again)
    assert all(v.low <= v.value <= v.high for v in again)


def test_order_of_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(SCORES_TABLE))
    names = ["auc.frame", "eer.video.mean", "auc.video.mean-logit"]
    assert compute_metrics(SCORES_TABLE, names, resamples=50) == compute_metrics(
        SCORES_TABLE.take(order), names, resamples=50
    )


@pytest.mark.parametrize(
    ("policy", "fill"), [("exclude", None), ("as-real", 0.0), ("as-fake", 1.0), ("as-chance", 0.5)]
)
def test_failure_policies(policy, fill):
    value = pick(
        compute_metrics(SCORES_TABLE, ["acc.frame", "auc.frame"], resamples=0, failure_policy=policy), "acc.frame"
    )
    rows = rows_of(SCORES_TABLE, "c23", "all", "ok" if fill is None else None)
    scores = [fill if r["score"] is None else r["score"] for r in rows]
    right = [float((s >= 0.5) == r["label"]) for r, s in zip(rows, scores, strict=True)]
    if policy == "as-chance":
        right = [0.5 if r["score"] is None else correct for r, correct in zip(rows, right, strict=True)]
    assert value.value == pytest.approx(np.mean(right))
    assert value.n == len(rows)
    assert value.coverage < 1
    assert value.ties == 0


def test_media_without_any_score():
    clip = SCORES_TABLE["media_id"][0].as_py()
    gone = edit(
        SCORES_TABLE,
        status=lambda r: "decode_error" if r["media_id"] == clip else r["status"],
        score=lambda r: None if r["media_id"] == clip else r["score"],
    )
    out = pick(compute_metrics(gone, ["acc.video.mean"], resamples=0), "acc.video.mean")
    kept = pick(compute_metrics(gone, ["acc.video.mean"], resamples=0, failure_policy="as-fake"), "acc.video.mean")
    assert (out.n_media, kept.n_media) == (199, 200)


def test_one_class_is_undefined_with_a_reason():
    fakes = SCORES_TABLE.filter(pa.compute.equal(SCORES_TABLE["label"], 1))
    values = compute_metrics(fakes, ["auc.frame", "acc.frame"], resamples=20)
    auc = pick(values, "auc.frame")
    assert (auc.value, auc.low) == (None, None)
    assert "only fake samples" in auc.undefined
    assert pick(values, "acc.frame").value is not None
    reals = SCORES_TABLE.filter(pa.compute.equal(SCORES_TABLE["label"], 0))
    assert {v.manipulation for v in compute_metrics(reals, ["acc.frame"], resamples=0)} == {"all"}


def test_nothing_scored_is_undefined():
    none = edit(SCORES_TABLE, status=lambda r: "no_face", score=lambda r: None)
    values = compute_metrics(none, run_folders.NAMES, resamples=20)
    assert {(v.value, v.undefined, v.coverage, v.n) for v in values} == {(None, "no scored samples", 0.0, 0)}


@pytest.mark.parametrize(("metric", "groups", "least"), [("auc", 4, 5), ("acc", 4, 5), ("ap", 19, 20)])
def test_an_interval_needs_the_groups_with_which_it_covers(metric, groups, least):
    few, enough = (
        pick(
            compute_metrics(run_folders.scores_table(pairs=n, frames=1), [f"{metric}.frame"], resamples=50),
            f"{metric}.frame",
        )
        for n in (groups, least)
    )
    assert few.value is not None
    assert (few.low, few.high, few.interval_method) == (None, None, None)
    assert few.interval_note == f"{groups} scene groups; at least {least} are needed"
    assert enough.low < enough.value < enough.high


def test_thresholds_stand_beside_the_values():
    values = compute_metrics(SCORES_TABLE, ["acc.frame", "auc.frame", "eer.frame"], threshold=0.7, resamples=0)
    assert pick(values, "acc.frame").threshold == 0.7
    assert pick(values, "auc.frame").threshold is None
    point = pick(values, "eer.frame")
    rows = rows_of(SCORES_TABLE, "c23", "all")
    fpr = np.mean([r["score"] >= point.threshold for r in rows if r["label"] == 0])
    assert fpr == pytest.approx(point.value, abs=0.02)


def test_votes_are_judged_by_half_of_them():
    value = pick(compute_metrics(SCORES_TABLE, ["acc.video.vote"], threshold=0.9, resamples=0), "acc.video.vote")
    clips = {}
    for row in rows_of(SCORES_TABLE, "c23", "all"):
        clips.setdefault((row["media_id"], row["label"]), []).append(row["score"] >= 0.9)
    assert value.value == np.mean([(np.mean(v) >= 0.5) == label for (_, label), v in clips.items()])


def test_draws_do_not_depend_on_the_detector():
    other = edit(SCORES_TABLE, model=lambda r: "other", run_id=lambda r: "other")
    names = ["auc.frame", "eer.frame"]
    assert compute_metrics(other, names, resamples=50) == compute_metrics(SCORES_TABLE, names, resamples=50)
    other_seed = compute_metrics(other, ["eer.frame"], resamples=50, seed=1)
    assert other_seed != compute_metrics(SCORES_TABLE, ["eer.frame"], resamples=50)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"score": lambda r: None}, "status that contradicts"),
        ({"status": lambda r: "no_face"}, "status that contradicts"),
        (
            {"score": lambda r: r["score"] and r["score"] + 1},
            r"outside \[0,1\].*the first sample is mini/c23/real/000#000000.0",
        ),
        ({"score": lambda r: r["score"] and float("inf")}, "not finite"),
        ({"label": lambda r: int(r["label"]) * 2}, "labels other than"),
        ({"model": lambda r: r["subset"]}, "more than one model: c23, c40"),
        (
            {"label": lambda r: int(r["sample_id"].endswith("1.0"))},
            "more than one label, the first is mini/c23/real",
        ),
        ({"scene_group": lambda r: r["sample_id"]}, "more than one scene_group"),
    ],
)
def test_broken_tables_are_refused(columns, message):
    with pytest.raises(DataError, match=message):
        compute_metrics(edit(SCORES_TABLE, **columns), ["auc.frame"])


def test_missing_columns_and_repeated_keys_are_refused():
    with pytest.raises(DataError, match="lacks the columns score"):
        compute_metrics(SCORES_TABLE.drop_columns(["score"]), ["auc.frame"])
    with pytest.raises(DataError, match="more than once"):
        compute_metrics(pa.concat_tables([SCORES_TABLE, SCORES_TABLE.slice(0, 2)]), ["auc.frame"])


def test_several_faces_of_a_frame_are_refused():
    second = edit(SCORES_TABLE.slice(0, 1), sample_id=lambda r: r["sample_id"][:-1] + "1")
    with pytest.raises(DataError, match="several faces of one frame"):
        compute_metrics(pa.concat_tables([SCORES_TABLE, second]), ["auc.frame"])


def test_unknown_names_are_usage_errors():
    with pytest.raises(UsageError, match=r"unknown metric 'auc\.fram'"):
        compute_metrics(SCORES_TABLE, ["auc.fram"])
    with pytest.raises(UsageError, match="unknown failure policy 'drop'"):
        compute_metrics(SCORES_TABLE, ["auc.frame"], failure_policy="drop")


def test_coverage_counts_every_row():
    rows = coverage_rows(SCORES_TABLE)
    assert sum(r.requested for r in rows) == len(SCORES_TABLE)
    assert len(rows) == 2 * 5
    for row in rows:
        assert sum(row.by_status.values()) == row.requested
        assert row.scored == row.by_status["ok"]
    assert sum(r.by_status.get("no_face", 0) for r in rows) == SCORES_TABLE["score"].null_count


def test_samples_by_slice_are_those_of_the_metric():
    cells = samples_by_slice(SCORES_TABLE, "auc.video.mean")
    values = compute_metrics(SCORES_TABLE, ["auc.video.mean"], resamples=0)
    for (_, subset, _), samples in cells.items():
        assert brute_force.auc(samples.labels, samples.scores) == pick(values, "auc.video.mean", subset=subset).value
