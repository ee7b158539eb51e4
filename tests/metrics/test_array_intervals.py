"""Intervals and differences on plain arrays equal those of scores tables, and bad input raises dfbench's errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import run_folders

import dfbench
from dfbench import metrics as m
from dfbench.errors import DataError, UndefinedMetric, UsageError
from dfbench.schema.ids import seed_from

TABLE = run_folders.scores_table(frames=2)
OTHER = run_folders.scores_table("meso4", "run-2", frames=2, gap=0.8, seed=1)


def rows(table, subset="c23"):
    frame = table.to_pandas().query("subset == @subset and status == 'ok'")
    return frame["label"].tolist(), frame["score"].tolist(), frame["scene_group"].tolist()


@pytest.mark.parametrize("metric", ["auc", "eer", "acc", "ap", "brier", "tpr@fpr=0.3", "recall@class=fake"])
def test_intervals_of_arrays_are_those_of_the_table(metric):
    (expected,) = m.compute_metrics(
        TABLE.filter(np.array(TABLE["subset"]) == "c23"),
        [f"{metric}.frame"],
        resamples=300,
        seed=4,
        per_manipulation=False,
    )
    found = m.bootstrap_interval(
        metric, *rows(TABLE), resamples=300, seed=seed_from("mini/c23/clean/all", "bootstrap", 4)
    )
    assert (found.value, found.low, found.high) == (expected.value, expected.low, expected.high)
    assert (found.n, found.n_groups, found.note) == (expected.n, expected.n_clusters, expected.interval_note)
    assert found.method == expected.interval_method == ("clustered-delong" if metric == "auc" else "bootstrap-t")


@pytest.mark.parametrize("metric", ["auc", "acc", "eer"])
def test_differences_of_arrays_are_those_of_the_tables(metric):
    first, second = (t.filter(np.array(t["subset"]) == "c40") for t in (TABLE, OTHER))
    (expected,) = m.paired_differences(first, second, [f"{metric}.frame"], resamples=500, failure_policy="as-fake")
    a, b = (t.to_pandas().sort_values(["sample_id"]).fillna({"score": 1.0}) for t in (first, second))
    found = m.paired_difference(
        metric, a["label"], a["score"], b["score"], a["scene_group"],
        resamples=500, seed=seed_from("mini/c40/clean/all", "bootstrap", 0),
    )  # fmt: skip
    assert (found.first, found.second, found.value) == (expected.first, expected.second, expected.value)
    assert (found.low, found.high, found.p) == (expected.low, expected.high, expected.p)
    assert (found.n, found.n_groups, found.note) == (expected.n, expected.n_clusters, expected.note)


def test_auc_interval_is_the_interval_of_the_auc():
    labels, scores, groups = rows(TABLE)
    found = m.auc_interval(labels, np.array(scores), np.array(groups), resamples=100, seed=7)
    assert found == m.bootstrap_interval("auc", labels, scores, groups, resamples=100, seed=7)
    assert float(found) == m.auc(labels, scores)
    narrow = m.auc_interval(labels, scores, groups, resamples=100, seed=7, confidence=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_without_groups_every_sample_is_its_own():
    labels, scores, _ = rows(TABLE)
    alone = m.auc_interval(labels, scores, resamples=100)
    assert alone.n_groups == alone.n == len(labels)
    assert alone == m.auc_interval(labels, scores, [f"{i:06d}" for i in range(len(labels))], resamples=100)


def test_no_interval_has_a_reason():
    few = m.auc_interval([0, 1] * 2, [0.1, 0.9] * 2)
    assert (few.value, few.low, few.high) == (1.0, None, None)
    assert few.note == "4 scene groups; at least 5 are needed"
    assert str(few) == "1.000"
    none = m.paired_difference("auc", [0, 1] * 30, [0.1, 0.9] * 30, [0.2, 0.8] * 30, resamples=0)
    assert (none.value, none.low, none.p, none.note) == (0.0, None, None, "no resamples were requested")


def test_short_text():
    found = m.IntervalEstimate(0.5, 0.25, 0.75, n=10, n_groups=5)
    assert f"{found}" == "0.500 [0.250, 0.750]"
    assert f"{found:.0%}" == "50% [25%, 75%]"
    assert str(m.PairedDifference(0.5, 0.6, -0.1, -0.2, 0.01, 0.2, 10, 5)) == "-0.100 [-0.200, +0.010]"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("auk", [0, 1], [0.1, 0.2]), UsageError, "unknown metric 'auk'"),
        (("auc.frame", [0, 1], [0.1, 0.2]), UsageError, r"unknown metric 'auc\.frame'"),
        (("tpr@fpr=2", [0, 1], [0.1, 0.2]), UsageError, "false positive rate"),
        (("auc", [0, 1], [0.1]), DataError, "labels and scores have different lengths: 2 and 1"),
        (("auc", [0, 1], [0.1, np.nan]), DataError, "not finite at positions 1"),
        (("auc", [0, 2], [0.1, 0.2]), DataError, "labels other than 0"),
        (("auc", [0, 1], [0.1, 0.2], ["a"]), DataError, "labels and groups have different lengths: 2 and 1"),
        (("auc", [0, 1], [0.1, 0.2], [["a", "b"]]), DataError, "groups must be one-dimensional"),
        (("auc", [0, 1], [0.1, 0.2], [0.0, np.nan]), DataError, "groups must not be NaN"),
        (("auc", [0, 1], [0.1, 0.2], ["a", None]), DataError, "groups must not be None"),
        (("auc", [1, 1], [0.1, 0.2]), UndefinedMetric, "only fake"),
        (("acc", [], []), UndefinedMetric, "no scored samples"),
    ],
)
def test_bad_input_raises_own_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        m.bootstrap_interval(*arguments)
    metric, labels, scores, *groups = arguments
    with pytest.raises(error, match=message):
        m.paired_difference(metric, labels, scores, scores, *groups)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"confidence": 1.0}, UsageError), ({"resamples": -1}, UsageError), ({"threshold": 2.0}, DataError)],
)
def test_bad_options_raise_own_errors(options, error):
    with pytest.raises(error, match=next(iter(options))):
        m.bootstrap_interval("acc", [0, 1] * 30, [0.1, 0.9] * 30, **options)


def test_the_example_of_the_documentation():
    labels, videos = [0, 1] * 40, [i // 2 for i in range(80)]
    ours, theirs = [0.1, 0.9] * 36 + [0.6, 0.4] * 4, [0.2, 0.7] * 30 + [0.7, 0.3] * 10
    assert str(m.auc_interval(labels, ours, groups=videos)) == "0.990 [0.909, 0.999]"
    difference = m.paired_difference("auc", labels, ours, theirs, videos)
    assert difference.low > 0
    assert difference.p < 0.05
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text("utf-8")
    assert "print(found)  # 0.990 [0.909, 0.999]" in page


def test_metrics_are_listed_with_one_line_each():
    found = m.describe_metrics()
    assert dfbench.list_metrics() == list(found)
    assert dfbench.list_metrics("auc*") == ["auc"]
    assert {"acc", "auc", "eer", "tpr@fpr=RATE", "recall@class=NAME"} <= set(found)
    for name, summary in found.items():
        assert 10 < len(summary) < 80
        concrete = name.replace("RATE", "0.1").replace("NAME", "fake")
        assert m.parse_metric(f"{concrete}.video.mean").definition.summary == summary
