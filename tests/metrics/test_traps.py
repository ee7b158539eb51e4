"""The traps of the field's metrics, one test each, named after the trap; and the users' complaints about metrics."""

import inspect

import numpy as np
import pyarrow as pa
import pytest
import run_folders

from dfbench import metrics as m
from dfbench.errors import DataError, UndefinedMetric, UsageError
from dfbench.metrics import compute_metrics, coverage_rows, score_warnings
from dfbench.metrics.samples import FAILURE_POLICIES
from dfbench.schema.result import MetricValue
from dfbench.schema.scores import SCORES

TABLE = run_folders.scores_table(pairs=20, frames=2)


def edit(table, **columns):
    rows = table.to_pylist()
    for row in rows:
        row |= {name: change(row) for name, change in columns.items()}
    return pa.Table.from_pylist(rows, schema=SCORES.schema())


def first_value(table, name, **options):
    return compute_metrics(table, [name], resamples=0, per_manipulation=False, **options)[0]


# Traps


def test_trap_1_videos_are_keyed_by_media_id_and_mixed_labels_raise():
    assert first_value(TABLE, "auc.video.mean").n == 200
    mixed = edit(TABLE, label=lambda r: int(r["sample_id"].endswith("0.0")))
    with pytest.raises(DataError, match="more than one label"):
        first_value(mixed, "auc.video.mean")


def test_trap_2_labels_follow_ids_and_not_the_order_of_rows():
    order = np.random.default_rng(0).permutation(len(TABLE))
    names = ["auc.frame", "recall@class=real.frame", "recall@class=fake.frame"]
    assert compute_metrics(TABLE, names, resamples=0) == compute_metrics(TABLE.take(order), names, resamples=0)


def test_trap_2_recalls_of_a_constant_detector_are_zero_and_one():
    constant = edit(TABLE, score=lambda r: r["score"] and 0.99)
    values = compute_metrics(constant, ["recall@class=real.frame", "recall@class=fake.frame"], resamples=0)
    assert [v.value for v in values[:2]] == [0.0, 1.0]


def test_trap_3_one_class_is_undefined_with_a_reason_never_one_half():
    reals = TABLE.filter(pa.compute.equal(TABLE["label"], 0))
    for name in ("auc.frame", "eer.frame", "ap.frame", "tpr@fpr=0.1.frame", "macro-f1.frame", "auc.video.mean~dfb"):
        value = first_value(reals, name)
        assert value.value is None
        assert "real" in value.undefined


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_trap_4_scores_that_are_not_finite_are_refused_by_id(bad):
    place = TABLE["sample_id"][7].as_py()
    broken = edit(TABLE, score=lambda r: bad if r["sample_id"] == place else r["score"])
    with pytest.raises(DataError, match=f"the first(?: sample)? is {place}"):
        first_value(broken, "auc.frame")


def test_trap_5_at_the_threshold_is_fake_and_ties_are_counted():
    tied = edit(TABLE, score=lambda r: r["score"] and 0.5)
    ours, theirs = first_value(tied, "acc.frame"), first_value(tied, "acc.frame~dfb")
    assert ours.ties == theirs.ties == ours.n
    assert ours.value == pytest.approx(ours.n_positive / ours.n)
    assert theirs.value == pytest.approx(1 - ours.value)


@pytest.mark.parametrize("policy", FAILURE_POLICIES)
def test_trap_6_failures_follow_a_named_policy_and_coverage_is_printed(policy):
    value = first_value(TABLE, "acc.frame", failure_policy=policy)
    assert value.coverage == pytest.approx(1 - TABLE.slice(0, 400)["score"].null_count / 400)
    assert value.n == (400 if policy != "exclude" else round(400 * value.coverage))
    assert None not in (value.coverage_real, value.coverage_fake)


def test_trap_7_lost_or_doubled_rows_do_not_pass():
    with pytest.raises(DataError, match="more than once"):
        first_value(pa.concat_tables([TABLE, TABLE.slice(0, 1)]), "auc.frame")
    assert sum(row.requested for row in coverage_rows(TABLE)) == len(TABLE)


def test_trap_8_no_sigmoid_on_a_guess():
    for function in (m.auc, m.accuracy, m.log_loss, m.ece):
        with pytest.raises(DataError, match=r"outside \[0,1\]") as caught:
            function([0, 1, 0, 1], [-1.0, 2.0, 0.2, 0.7])
        assert "logits" in caught.value.hint


def test_trap_9_the_equal_error_threshold_is_finite():
    for labels, scores in (([0, 1], [0.9, 0.1]), ([1, 0], [0.9, 0.1]), ([0, 1, 1], [0.5] * 3)):
        assert np.isfinite(m.equal_error(labels, scores).threshold)


def test_trap_10_partial_areas_are_named_and_their_limit_is_checked():
    raw, rescaled = m.partial_auc([0, 1], [0.1, 0.9], 0.1), m.partial_auc_mcclish([0, 1], [0.1, 0.9], 0.1)
    assert (raw, rescaled) == (pytest.approx(0.1), pytest.approx(1.0))
    for name in ("pauc@fpr=5.0.frame", "pauc-mcclish@fpr=0.frame", "tpr@fpr=1.frame", "tpr@fpr.frame"):
        with pytest.raises(UsageError, match="false positive rate between 0 and 1"):
            m.parse_metric(name)


def test_trap_11_data_sets_are_never_pooled_nor_averaged():
    other = edit(TABLE, dataset=lambda r: "dfd", media_id=lambda r: "dfd" + r["media_id"][4:],
                 sample_id=lambda r: "dfd" + r["sample_id"][4:])  # fmt: skip
    both = compute_metrics(pa.concat_tables([TABLE, other]), ["auc.frame"], resamples=0, per_manipulation=False)
    assert [(v.dataset, v.subset) for v in both] == [("dfd", "c23"), ("dfd", "c40"), ("mini", "c23"), ("mini", "c40")]
    assert [v.value for v in both[2:]] == [v.value for v in compute_metrics(TABLE, ["auc.frame"], resamples=0, per_manipulation=False)]  # fmt: skip  # noqa: E501


def test_trap_12_clips_of_a_video_are_aggregated_like_frames():
    names, labels, scores = ["v"] * 4 + ["w"] * 2, [1] * 4 + [0] * 2, [0.9, 0.7, 0.8, 0.6, 0.2, 0.4]
    assert m.aggregate(names, labels, scores).scores.tolist() == pytest.approx([0.75, 0.3])
    assert first_value(TABLE, "auc.video.mean").n < first_value(TABLE, "auc.frame").n


# Complaints


def test_complaint_1_a_published_number_is_matched_by_its_own_rule():
    coarse = edit(TABLE, score=lambda r: r["score"] and round(r["score"], 1))
    values = compute_metrics(coarse, ["eer.frame", "eer.frame~dfb"], resamples=0, per_manipulation=False)
    assert [v.name for v in values[:2]] == ["eer.frame", "eer.frame~dfb"]
    assert values[0].value != values[1].value


def test_complaint_2_no_threshold_and_no_weights_come_from_test_data():
    assert first_value(TABLE, "acc.frame", threshold=0.3).threshold == 0.3
    assert "threshold" not in inspect.signature(m.auc).parameters


def test_complaint_9_coverage_by_label_and_manipulation_for_every_cell():
    rows = coverage_rows(TABLE)
    assert {(r.subset, r.manipulation) for r in rows} == {
        (s, k) for s in ("c23", "c40") for k in ("real", *run_folders.METHODS)
    }
    assert all(sum(r.by_status.values()) == r.requested for r in rows)


def test_complaint_10_a_video_without_faces_does_not_vanish():
    clip = TABLE["media_id"][0].as_py()
    gone = edit(
        TABLE,
        status=lambda r: "no_face" if r["media_id"] == clip else r["status"],
        score=lambda r: None if r["media_id"] == clip else r["score"],
    )
    excluded, counted = (first_value(gone, "acc.video.mean", failure_policy=p) for p in ("exclude", "as-fake"))
    assert (excluded.n, counted.n) == (199, 200)
    assert excluded.coverage == counted.coverage < 1


def test_complaint_15_several_faces_follow_a_declared_rule():
    second = edit(TABLE.slice(0, 1), sample_id=lambda r: r["sample_id"][:-1] + "1", score=lambda r: 1.0)
    table = pa.concat_tables([TABLE, second])
    with pytest.raises(DataError, match="several faces"):
        first_value(table, "auc.frame")
    found = [first_value(table, "auc.frame", face_aggregation=rule).value for rule in ("largest", "max")]
    assert found[0] == first_value(TABLE, "auc.frame").value > found[1]


@pytest.mark.parametrize("name", ["auc", "auc.video", "acc", "eer.vid"])
def test_complaint_17_level_and_aggregation_are_part_of_the_name(name):
    with pytest.raises(UsageError):
        m.parse_metric(name)


def test_complaint_18_decisions_and_inverted_labels_are_reported():
    assert any(
        "distinct" in s for s in score_warnings(edit(TABLE, score=lambda r: r["score"] and float(r["score"] > 0.5)))
    )
    assert any("inverted" in s for s in score_warnings(edit(TABLE, label=lambda r: 1 - r["label"])))


def test_complaint_19_compressions_are_cells_of_their_own():
    values = compute_metrics(TABLE, ["auc.frame"], resamples=0, per_manipulation=False)
    assert [v.subset for v in values] == ["c23", "c40"]
    assert values[0].value != values[1].value


def test_every_number_says_its_level_n_interval_and_coverage():
    fields = set(MetricValue.model_fields)
    assert {"name", "n", "n_media", "n_clusters", "low", "high", "interval_note", "coverage", "undefined"} <= fields


def test_no_sample_has_a_reason_in_every_function():
    for function in (m.auc, m.accuracy, m.average_precision, m.log_loss, m.brier, m.ece, m.delong):
        with pytest.raises(UndefinedMetric, match="no scored samples"):
            function([], [])
